"""Scan: what cannot be learned from is named, counted and left out."""

import shutil
from pathlib import Path

import pytest

from trainer.common.errors import TrainerError
from trainer.data.dataset import SCAN_LIMITS, scan


def test_every_picture_is_found_with_label_and_source(faces):
    dataset = scan([faces])
    assert dataset.counts() == {"faces/fake": 24, "faces/real": 24}
    assert dataset.rejected == ()
    assert {sample.label for sample in dataset.samples if "real" in sample.path.parts} == {"real"}


def test_an_unreadable_file_is_named_skipped_and_counted(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 4, 4)
    good = (root / "real" / "000.jpg").read_bytes()
    (root / "real" / "cut.jpg").write_bytes(good[:2000])
    (root / "fake" / "notes.txt").write_text("not a picture")
    (root / "fake" / ".DS_Store").write_text("hidden")
    dataset = scan([root])
    assert len(dataset.samples) == 8
    reasons = {left_out.path.name: left_out.reason for left_out in dataset.rejected}
    assert set(reasons) == {"cut.jpg", "notes.txt"}
    assert reasons["cut.jpg"].startswith("corrupt_image: ")
    assert reasons["notes.txt"].startswith("unsupported_format: ")


def test_a_file_beyond_the_limit_is_not_read_at_all(write_faces, tmp_path, monkeypatch):
    root = write_faces(tmp_path / "d", 2, 2)
    with (root / "real" / "video.mp4").open("wb") as stream:
        stream.truncate(SCAN_LIMITS.max_bytes + 1)
    read = []
    good = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or good(path))
    (left_out,) = scan([root]).rejected
    assert left_out.reason.startswith("payload_too_large: ")
    assert "video.mp4" not in read


def test_exact_duplicates_are_left_out_but_one(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 4, 4)
    shutil.copy(root / "real" / "001.jpg", root / "real" / "copy.jpg")
    dataset = scan([root])
    assert dataset.counts()["d/real"] == 4
    assert [left_out.path.name for left_out in dataset.rejected] == ["copy.jpg"]
    assert len(scan([root], keep_duplicates=True).samples) == 9


def test_same_bytes_under_both_labels_are_left_out(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 4, 4)
    shutil.copy(root / "real" / "001.jpg", root / "fake" / "liar.jpg")
    dataset = scan([root])
    assert dataset.counts() == {"d/fake": 4, "d/real": 3}
    assert {left_out.reason.split(":")[0] for left_out in dataset.rejected} == {"contradictory"}


def test_roots_of_one_name_stay_apart(write_faces, tmp_path):
    first, second = write_faces(tmp_path / "a" / "x", 2, 2, 1), write_faces(tmp_path / "b" / "x", 2, 2, 2)
    assert set(scan([first, second]).counts()) == {"a.x/fake", "a.x/real", "b.x/fake", "b.x/real"}


def test_roots_that_share_parents_too_stay_apart(write_faces, tmp_path):
    roots = [write_faces(tmp_path / top / "a" / "x", 1, 1, seed) for seed, top in enumerate(("1", "2"))]
    assert set(scan(roots).counts()) == {"1.a.x/fake", "1.a.x/real", "2.a.x/fake", "2.a.x/real"}


def test_sources_may_hold_one_class_each(write_faces, tmp_path):
    first, second = write_faces(tmp_path / "r", 3, 1), write_faces(tmp_path / "f", 1, 3, 2)
    shutil.rmtree(first / "fake")
    shutil.rmtree(second / "real")
    assert scan([first, second]).counts() == {"f/fake": 3, "r/real": 3}


def test_one_class_only_is_refused_and_named(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 3, 1)
    shutil.rmtree(root / "fake")
    with pytest.raises(TrainerError, match=r"no readable fake images under .*3 images found, all of the other class"):
        scan([root])
    assert len(scan([root], one_class=True).samples) == 3


def test_no_images_at_all_are_refused(tmp_path):
    (tmp_path / "d" / "real").mkdir(parents=True)
    with pytest.raises(TrainerError, match="no readable images under"):
        scan([tmp_path / "d"])


@pytest.mark.parametrize(("name", "message"), [("absent", "does not exist"), ("empty", "neither 'real' nor 'fake'")])
def test_invalid_data_root_is_refused(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainerError, match=message):
        scan([tmp_path / name])


def test_a_root_given_twice_is_refused(faces):
    with pytest.raises(TrainerError, match="given twice"):
        scan([faces, faces])


def test_the_fingerprint_knows_content_and_label_not_file_names(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 3, 3)
    before = scan([root]).fingerprint()
    (root / "real" / "000.jpg").rename(root / "real" / "renamed.jpg")
    assert scan([root]).fingerprint() == before
    (root / "real" / "renamed.jpg").rename(root / "fake" / "renamed.jpg")
    assert scan([root]).fingerprint() != before


@pytest.mark.long
def test_hardfake_is_complete(faces_data):
    assert scan([faces_data / "hardfake"], keep_duplicates=True).counts() == {
        "hardfake/fake": 700,
        "hardfake/real": 589,
    }
