"""Audit: known answers on made collections and on the shared ones."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.audit.audit import audit
from trainer.audit.shortcut_score import features, shortcut_score
from trainer.data.dataset import is_fake, scan
from trainer.data.groups import grouped
from trainer.data.picture_facts import facts_of_file, facts_of_tensor, jpeg_quality
from trainer.report.audit_page import write_audit


def saved(tmp_path: Path, image: Image.Image, name: str, **how) -> tuple[bytes, Image.Image]:
    path = tmp_path / name
    image.save(path, **how)
    return path.read_bytes(), image


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 95, 100])
def test_quality_is_read_from_the_quantisation_tables(astronaut, tmp_path, quality):
    facts = facts_of_file(*saved(tmp_path, astronaut, "x.jpg", quality=quality, subsampling=2))
    assert (facts.quality, facts.subsampling, facts.format) == (quality, "4:2:0", "JPEG")


def test_other_formats_have_no_quality(astronaut, tmp_path):
    facts = facts_of_file(*saved(tmp_path, astronaut, "x.png"))
    assert (facts.quality, facts.subsampling, facts.format) == (None, "", "PNG")
    assert jpeg_quality({}) is None


def test_blur_lowers_sharpness_and_greyscale_is_seen(astronaut):
    face = np.asarray(astronaut.crop((120, 0, 376, 256)))
    soft = np.asarray(Image.fromarray(face).resize((64, 64)).resize((256, 256)))
    grey = np.asarray(Image.fromarray(face).convert("L").convert("RGB"))
    assert facts_of_tensor(soft).sharpness < facts_of_tensor(face).sharpness
    assert facts_of_tensor(grey).greyscale
    assert not facts_of_tensor(face).greyscale


@pytest.fixture(scope="module")
def telling(write_faces, tmp_path_factory) -> Path:
    """A collection whose fakes are saved at another quality, in which one fake is a near copy of another."""
    root = write_faces(tmp_path_factory.mktemp("data") / "telling", 40, 40)
    for path in (root / "fake").iterdir():
        Image.open(path).save(path, quality=40)
    Image.open(root / "fake" / "000.jpg").resize((120, 120)).save(root / "fake" / "copy.jpg", quality=60)
    shutil.copy(root / "real" / "001.jpg", root / "real" / "again.jpg")
    (root / "real" / "broken.jpg").write_bytes(b"junk")
    return root


def test_the_audit_says_in_words_what_gives_a_class_away(telling):
    found = audit(grouped(scan([telling])))
    assert found.verdict == "separable"
    assert found.pooled.score > 0.95
    words = " ".join(found.findings)
    assert "can be told apart without looking at a face" in words
    assert "JPEG quality separates the classes" in words
    assert "reals are mostly quality 92 4:2:0" in words
    assert f"{len(found.near)} pairs of near duplicates; a stratified split keeps each on one side" in words
    assert {"000.jpg", "copy.jpg"} in [{one.path.name, other.path.name} for one, other in found.near]
    assert "1 file left out: exact duplicate" in words
    assert "1 file left out: unreadable" in words


def test_the_written_audit_holds_everything(telling, tmp_path):
    dataset = grouped(scan([telling]))
    write_audit(audit(dataset), dataset, tmp_path / "audit.json", tmp_path / "audit.html")
    written = json.loads((tmp_path / "audit.json").read_text())
    assert written["verdict"] == "separable"
    assert written["strata"]["telling/fake"]["jpeg_quality"]["median"] == 40
    assert written["left_out"]["counts"] == {"exact duplicate": 1, "unreadable": 1}
    assert sum(written["near_duplicates"]["kinds"].values()) == written["near_duplicates"]["pairs"] >= 1
    page = (tmp_path / "audit.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 * 12 + 2 * min(12, written["near_duplicates"]["pairs"])
    assert "http" not in page.replace("http://www.w3.org", "")


def test_too_few_pictures_are_no_verdict(write_faces, tmp_path):
    found = audit(grouped(scan([write_faces(tmp_path / "few", 5, 5)])))
    assert found.verdict == "too few to tell"
    assert "too few for a shortcut score" in found.findings[0]


def test_groups_too_few_to_hold_some_out_are_no_verdict(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 30, 30)
    for label in ("real", "fake"):
        (root / label / "all").mkdir()
        for path in root.glob(f"{label}/*.jpg"):
            path.rename(root / label / "all" / path.name)
    found = audit(grouped(scan([root]), "folders"))
    assert (found.verdict, found.pooled.score) == ("too few to tell", None)
    (root / "fake" / "all").rename(root / "fake" / "rest")
    json.dumps(audit(grouped(scan([root]), "folders")).to_json(), allow_nan=False)


def test_a_high_score_that_may_be_chance_is_said_as_such_and_never_called_clean(write_faces, tmp_path):
    samples = scan([write_faces(tmp_path / "d", 22, 22)]).samples
    rng = np.random.default_rng(5)
    for shift in np.linspace(0.2, 1.5, 8):
        facts = [replace(s.facts, sharpness=float(rng.normal(shift * (s.label == "fake")))) for s in samples]
        found = shortcut_score(facts, is_fake(samples), [""] * len(samples))
        if found.score > 0.6:
            assert found.verdict == ("separable" if found.interval[0] > 0.5 else "too few to tell")
        else:
            assert found.verdict == "clean"


def test_a_rare_class_is_looked_at_whole(write_faces, tmp_path):
    samples = scan([write_faces(tmp_path / "d", 1, 1)]).samples
    plain = samples[0].facts
    facts = [replace(plain, file_size=2000)] * 60 + [plain] * 9000
    found = shortcut_score(facts, np.arange(9060) < 60, [""] * 9060)
    assert found.score > 0.99
    assert (found.real, found.fake) == (9000, 60)


def test_a_file_name_that_is_not_utf8_is_reported_like_any_other(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 4, 4)
    (root / "real" / os.fsdecode(b"\xff\xfebad.jpg")).write_bytes(b"junk")
    (root / "real" / "000.jpg").rename(root / "real" / os.fsdecode(b"\xffgood.jpg"))
    dataset = grouped(scan([root]))
    write_audit(audit(dataset), dataset, tmp_path / "audit.json", tmp_path / "audit.html")
    assert json.loads((tmp_path / "audit.json").read_text())["left_out"]["counts"] == {"unreadable": 1}
    assert "bad.jpg" in (tmp_path / "audit.html").read_text("utf-8")


def test_a_source_of_one_class_is_scored_against_the_others(write_faces, tmp_path):
    both, real = write_faces(tmp_path / "both", 30, 30), write_faces(tmp_path / "real", 30, 1, seed=1)
    shutil.rmtree(real / "fake")
    found = audit(grouped(scan([both, real])))
    assert (found.sources["real"].real, found.sources["real"].fake) == (30, 30)
    assert any(sentence.startswith("real holds real pictures only") for sentence in found.findings)


def test_what_a_file_does_not_have_is_not_a_number(astronaut, tmp_path):
    row = features([facts_of_file(*saved(tmp_path, astronaut, "x.png"))])[0]
    assert np.isnan(row[4])
    assert np.isnan(row[5])


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "low", "high", "cue", "area"),
    [("hardfake", 0.8, 0.95, "file size", 0.71), ("ffhq-stylegan1", 0.5, 0.6, "file size", 0.51)],
)
def test_known_answers_on_the_shared_sets(faces_data, source, low, high, cue, area):
    dataset = grouped(scan([faces_data / source]))
    samples = dataset.samples
    found = shortcut_score([s.facts for s in samples], is_fake(samples), [s.group for s in samples])
    assert low < found.score < high
    assert found.verdict == ("separable" if low > 0.6 else "clean")
    assert found.cues[cue] == pytest.approx(area, abs=0.02)
    assert (found.cues["framing"] > 0.99) == (source == "hardfake")
    assert found.cues["framing"] < 0.75 or source == "hardfake"
    if source == "hardfake":
        grey = {label: np.mean([s.facts.greyscale for s in samples if s.label == label]) for label in ("real", "fake")}
        assert grey["real"] == pytest.approx(0.19, abs=0.015)
        assert grey["fake"] == 0
