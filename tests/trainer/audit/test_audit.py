"""The audit of a dataset: its verdict, its sources, and what is too little to tell."""

import json
import shutil

from trainer.audit.audit import audit
from trainer.data.dataset import scan
from trainer.data.groups import grouped


def test_too_few_pictures_are_no_verdict(write_faces, tmp_path):
    result = audit(grouped(scan([write_faces(tmp_path / "few", 5, 5)])))
    assert result.verdict == "too few to tell"
    assert "too few for a shortcut score" in result.findings[0]


def test_groups_too_few_to_hold_some_out_are_no_verdict(write_faces, tmp_path):
    root = write_faces(tmp_path / "d", 30, 30)
    for label in ("real", "fake"):
        (root / label / "all").mkdir()
        for path in root.glob(f"{label}/*.jpg"):
            path.rename(root / label / "all" / path.name)
    result = audit(grouped(scan([root]), "folders"))
    assert (result.verdict, result.pooled.score) == ("too few to tell", None)
    (root / "fake" / "all").rename(root / "fake" / "rest")
    json.dumps(audit(grouped(scan([root]), "folders")).to_json(), allow_nan=False)


def test_a_source_of_one_class_is_scored_against_the_others(write_faces, tmp_path):
    both, real = write_faces(tmp_path / "both", 30, 30), write_faces(tmp_path / "real", 30, 1, seed=1)
    shutil.rmtree(real / "fake")
    result = audit(grouped(scan([both, real])))
    assert (result.sources["real"].real, result.sources["real"].fake) == (30, 30)
    assert any(sentence.startswith("real holds real pictures only") for sentence in result.findings)
