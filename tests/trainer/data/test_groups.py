"""Groups: what belongs together stays on one side of a split."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.common.errors import TrainerError
from trainer.data.dataset import scan
from trainer.data.groups import grouped
from trainer.data.splits import PARTS, split


@pytest.fixture
def root(write_faces, tmp_path) -> Path:
    return write_faces(tmp_path / "d", 12, 12)


def write_groups(root: Path, *lines: str) -> None:
    (root / "groups.csv").write_text("\n".join(("file,group", *lines)) + "\n")


def sizes(dataset) -> list[int]:
    return sorted(Counter(sample.group for sample in dataset.samples if sample.group).values())


def different(tmp_path: Path, count: int = 24) -> Path:
    """Pictures that are not near duplicates of each other, half of them fake."""
    rng = np.random.default_rng(0)
    for number in range(count):
        folder = tmp_path / "n" / ("real" if number % 2 else "fake")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((96, 96), 3).save(folder / f"{number}.jpg")
    return tmp_path / "n"


def test_groups_csv_ties_pictures_of_both_classes(tmp_path):
    root = different(tmp_path)
    write_groups(root, "real/1.jpg,a", "fake/2.jpg,a", "real/3.jpg,b")
    dataset = grouped(scan([root]))
    assert sizes(dataset) == [2]
    with pytest.raises(TrainerError, match=r"--one-class-groups forbids: .*1\.jpg' and .*2\.jpg'"):
        grouped(scan([root]), one_class=True)


def test_folders_tie_one_persons_pictures(tmp_path):
    root = different(tmp_path)
    for label, numbers in (("real", (1, 3)), ("fake", (2,))):
        (root / label / "anna").mkdir()
        for number in numbers:
            shutil.move(root / label / f"{number}.jpg", root / label / "anna")
    assert sizes(grouped(scan([root]))) == []
    assert sizes(grouped(scan([root]), "folders")) == [3]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ("real/000.jpg,a", "real/nobody.jpg,a", "fake/none.jpg,b"),
            "lists 2 files that do not exist: real/nobody.jpg",
        ),
        (("real/000.jpg,a", "real/000.jpg,b"), "line 3: 'real/000.jpg' is in two groups"),
        (("real/../../x.jpg,a",), "line 2: 'real/../../x.jpg' is not inside"),
        (("/absent/x.jpg,a",), "line 2: '/absent/x.jpg' is not inside"),
        (("real/000.jpg,",), "line 2: file 'real/000.jpg', group ''"),
    ],
)
def test_a_wrong_groups_csv_is_refused_and_named(root, lines, message):
    write_groups(root, *lines)
    with pytest.raises(TrainerError, match=message):
        grouped(scan([root]))


def test_a_groups_csv_without_its_columns_is_refused(root):
    (root / "groups.csv").write_text("picture;who\n")
    with pytest.raises(TrainerError, match="it needs 'file' and 'group'"):
        grouped(scan([root]))


def test_a_split_keeps_groups_whole_and_shares_even(tmp_path):
    root = different(tmp_path, 80)
    lines = [f"{'real' if n % 2 else 'fake'}/{n}.jpg,g{n // 4}" for n in range(80)]
    write_groups(root, *lines)
    parts = split(grouped(scan([root])), "stratified", 7)
    sides: dict[str, set[str]] = {}
    for part in PARTS:
        for sample in parts.part(part):
            sides.setdefault(sample.group, set()).add(part)
    assert len(sides) == 20
    assert all(len(side) == 1 for side in sides.values())
    assert [len(parts.part(part)) for part in PARTS] == [56, 8, 8, 8]


def test_fewer_groups_than_parts_are_refused(tmp_path):
    root = different(tmp_path)
    write_groups(root, *(f"real/{n}.jpg,same" for n in range(1, 24, 2)))
    with pytest.raises(TrainerError, match="12 real images in 1 groups are too few for the 4 parts"):
        split(grouped(scan([root])), "stratified", 0)


def test_a_held_out_source_stands_in_no_part(tmp_path, write_faces):
    dataset = scan([write_faces(tmp_path / "a", 12, 12), write_faces(tmp_path / "b", 12, 12, seed=1)])
    parts = split(dataset, "stratified", 0, ("b",))
    assert {s.source for part in PARTS for s in parts.part(part)} == {"a"}
    assert {s.source for s in parts.holdout} == {"b"}
    with pytest.raises(TrainerError, match="held-out source 'c' is not one of a, b"):
        split(dataset, "stratified", 0, ("c",))


def test_what_resembles_a_held_out_picture_is_not_learned_from(astronaut, tmp_path):
    mine, second = different(tmp_path / "a"), tmp_path / "other"
    face = astronaut.crop((100, 0, 356, 256))
    face.save(mine / "real" / "face.jpg", quality=92)
    (second / "real").mkdir(parents=True)
    face.resize((150, 150), Image.Resampling.BICUBIC).save(second / "real" / "small.jpg", quality=60)
    dataset = grouped(scan([mine, second]))
    parts = split(dataset, "stratified", 0, ("other",))
    assert [sample.path.name for sample in parts.holdout] == ["small.jpg"]
    learned = {sample.path.name for part in PARTS for sample in parts.part(part)}
    assert "face.jpg" not in learned
    assert len(learned) == 24


def test_a_duplicate_that_is_left_out_still_ties_its_twin(tmp_path):
    root = different(tmp_path)
    shutil.copy(root / "real" / "1.jpg", root / "real" / "z-copy.jpg")
    write_groups(root, "real/z-copy.jpg,a", "real/3.jpg,a")
    dataset = grouped(scan([root]))
    tied = {sample.path.name for sample in dataset.samples if sample.group}
    assert tied == {"1.jpg", "3.jpg"}


def test_large_groups_are_dealt_out_where_that_is_possible(tmp_path):
    root = different(tmp_path, 66)
    write_groups(root, *(f"real/{n}.jpg,same" for n in range(1, 60, 2)))
    for seed in range(12):
        parts = split(grouped(scan([root])), "stratified", seed)
        assert all({s.label for s in parts.part(part)} == {"real", "fake"} for part in PARTS)
        assert sum({s.label for s in parts.part(part) if s.group} == {"real"} for part in PARTS) == 1


def test_face_swaps_stay_with_their_originals(faces_data):
    parts = split(grouped(scan([faces_data / "dfdc-faceswap"])), "stratified", 1)
    groups = [{sample.group for sample in parts.part(part)} for part in PARTS]
    assert all(groups[first].isdisjoint(groups[second]) for first in range(4) for second in range(first))
    assert sum(map(len, groups)) == 400
