"""``trainer evaluate`` as a person runs it."""

import json
import shutil

from tests.trainer.cli.rows import rows


def test_evaluate_gives_the_figures_that_fit_reported(fitted, trainer, capsys, tmp_path):
    for row in rows(fitted / "split.csv"):
        if row["part"] == "test":
            folder = tmp_path / "faces" / row["label"]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(row["path"], folder)
    assert trainer("evaluate", fitted / "model.onnx", tmp_path / "faces", "--json", "--robustness", "0") == 0
    reported = json.loads((fitted / "metrics.json").read_text())["test"]["pooled"]
    assert json.loads(capsys.readouterr().out)["pooled"] == reported


def test_evaluate_accepts_one_class_and_prints_a_table(fitted, trainer, faces, capsys, tmp_path):
    shutil.copytree(faces / "real", tmp_path / "only" / "real")
    assert trainer("evaluate", fitted / "model.onnx", tmp_path / "only", "--robustness", "2") == 0
    (tmp_path / "only" / "real" / "junk.jpg").write_bytes(b"junk")
    capsys.readouterr()
    assert trainer("evaluate", fitted / "model.onnx", tmp_path / "only", "--robustness", "2") == 0
    printed = capsys.readouterr()
    assert "real called fake" in printed.out
    assert "junk.jpg: unsupported_format" in printed.err
