"""Twins: fakes with the encoding of photos, and nothing enlarged, lost or half-written."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import ExifTags, Image

from trainer.data.dataset import scan
from trainer.data.groups import grouped
from trainer.data.picture_facts import facts_of_file
from trainer.data.twins import encoding, twin


def picture(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Draw something smooth, which survives shrinking."""
    coarse = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folders(tmp_path):
    """Photos of 64 and 48 pixels at qualities 50 and 80, and fakes of 96 pixels, and one of 40."""
    rng = np.random.default_rng(0)
    for name in ("photos/real", "faces/fake"):
        (tmp_path / name).mkdir(parents=True)
    for number in range(6):
        side, quality, chroma = (64, 50, 2) if number % 2 else (48, 80, 0)
        path = tmp_path / "photos" / "real" / f"{number}.jpg"
        picture(rng, side, side).save(path, quality=quality, subsampling=chroma)
        picture(rng, 96, 96).save(tmp_path / "faces" / "fake" / f"{number}.png")
    picture(rng, 40, 40).save(tmp_path / "faces" / "fake" / "small.png")
    return tmp_path / "faces", tmp_path / "photos", tmp_path / "twins"


def _jpeg(rng: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    picture(rng, 50, 40).save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def encodings(folder):
    return [encoding(path.read_bytes()) for path in sorted(folder.rglob("*.jpg"))]


def test_a_twin_has_size_tables_and_subsampling_of_a_photo(trainer, folders, capsys):
    faces, photos, out = folders
    assert trainer("twins", faces, "--like", photos, "--out", out) == 0
    assert "1 pictures left out: smaller" in capsys.readouterr().err.replace("\n", " ")
    assert [path.name for path in out.iterdir()] == ["fake"]
    known, twins = encodings(photos), encodings(out)
    assert len(twins) == 6
    assert all(encoding in known for encoding in twins)
    assert {encoding.size for encoding in twins} == {(64, 64), (48, 48)}


def test_twins_look_to_the_audit_like_what_they_resemble(trainer, folders):
    faces, photos, out = folders
    assert trainer("twins", faces, "--like", photos, "--out", out) == 0

    def qualities(folder):
        payloads = [path.read_bytes() for path in folder.rglob("*.jpg")]
        return {facts_of_file(payload, Image.open(io.BytesIO(payload)).convert("RGB")).quality for payload in payloads}

    assert qualities(out) == qualities(photos)


def test_the_same_seed_draws_the_same_twins(trainer, folders, tmp_path):
    faces, photos, out = folders
    (faces / "fake" / "small.png").unlink()
    for seed, folder in ((1, out), (1, tmp_path / "again"), (2, tmp_path / "other")):
        options = ("--like", photos, "--out", folder, "--most", 3, "--seed", seed)
        assert trainer("twins", faces, *options) == 0
    contents = [
        {path.name: path.read_bytes() for path in folder.rglob("*.jpg")}
        for folder in (out, tmp_path / "again", tmp_path / "other")
    ]
    assert len(contents[0]) == 3
    assert contents[0] == contents[1] != contents[2]


def test_a_twin_stays_on_its_originals_side_of_a_split(trainer, folders):
    faces, photos, out = folders
    assert trainer("twins", faces, "--like", photos, "--out", out) == 0
    dataset = grouped(scan([faces, out, photos]), "listed")
    groups = {}
    for sample in dataset.samples:
        if sample.label == "fake":
            groups.setdefault(sample.group, set()).add(sample.source)
    pairs = [sources for group, sources in groups.items() if group and sources == {"faces", "twins"}]
    assert len(pairs) == 6


def test_picture_of_a_different_shape_gets_no_twin(trainer, folders, capsys):
    faces, photos, out = folders
    rng = np.random.default_rng(5)
    for number in range(6):
        picture(rng, 98, 96).save(faces / "fake" / f"{number}.png")
    picture(rng, 193, 192).save(faces / "fake" / "square.png")
    assert trainer("twins", faces, "--like", photos, "--out", out) == 0
    assert "7 pictures left out" in " ".join(capsys.readouterr().err.split())
    assert len(encodings(out)) == 1


def test_encoding_of_a_rotated_picture_has_its_shown_size():
    rng, lying, turned = np.random.default_rng(0), io.BytesIO(), Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    picture(rng, 80, 60).save(lying, "JPEG", exif=turned)
    assert encoding(lying.getvalue()).size == (60, 80)


def test_encodings_are_those_of_the_other_class(trainer, folders):
    faces, photos, out = folders
    (photos / "fake").mkdir()
    picture(np.random.default_rng(3), 32, 32).save(photos / "fake" / "other.jpg", quality=20)
    assert trainer("twins", faces, "--like", photos, "--out", out) == 0
    assert {encoding.size for encoding in encodings(out)} == {(64, 64), (48, 48)}


def test_what_is_no_jpeg_makes_png_and_greyscale_stays_greyscale():
    rng = np.random.default_rng(0)
    buffers = [io.BytesIO() for _ in range(3)]
    picture(rng, 50, 40).save(buffers[0], "PNG")
    picture(rng, 50, 40).convert("L").save(buffers[1], "JPEG", quality=60)
    picture(rng, 50, 40).save(buffers[2], "WEBP")
    png, grey, webp = (encoding(buffer.getvalue()) for buffer in buffers)
    assert webp is None
    assert (png.size, png.tables) == ((50, 40), ())
    assert twin(picture(rng, 60, 60), png, Image.Resampling.BOX).startswith(b"\x89PNG")
    assert encoding(twin(picture(rng, 60, 60), grey, Image.Resampling.BOX)) == grey
    assert twin(picture(rng, 49, 60), png, Image.Resampling.BOX) is None


def test_tables_are_numbered_anew_as_the_components_take_them():
    known = encoding(_jpeg(np.random.default_rng(0)))
    odd = replace(known, tables=known.tables[:1] * 2)
    again = encoding(twin(picture(np.random.default_rng(1), 60, 60), odd, Image.Resampling.BOX))
    assert set(again.tables) == {known.tables[0]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--label", "real"), "no real pictures to make twins of"),
        (("--label", "false"), "'false' is not one of"),
    ],
)
def test_what_cannot_be_made_is_refused_and_leaves_nothing(trainer, folders, capsys, options, said):
    faces, photos, out = folders
    assert trainer("twins", faces, "--like", photos, "--out", out, *options) != 0
    assert said in " ".join(capsys.readouterr().err.split())
    assert not out.exists()
    (faces / "fake" / "small.png").unlink()
    assert trainer("twins", photos, "--label", "real", "--like", faces, "--out", out) == 1
    assert "all 6 real pictures are smaller or of another shape" in " ".join(capsys.readouterr().err.split())
    assert not list(out.parent.glob(".partial*"))


def test_a_folder_that_exists_is_not_written_over(trainer, folders, capsys):
    faces, photos, out = folders
    out.mkdir()
    assert trainer("twins", faces, "--like", photos, "--out", out) == 1
    assert f"folder '{out}' exists" in " ".join(capsys.readouterr().err.split())
