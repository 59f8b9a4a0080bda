"""Finishing a run that has stopped after training."""

import json
import shutil


def test_export_finishes_a_run_trained_without_tensorflow(fitted, trainer, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "history.csv", "split.csv", "model.keras"):
        shutil.copy(fitted / name, run)
    assert trainer("export", run) == 0
    before, after = (json.loads((folder / "metrics.json").read_text()) for folder in (fitted, run))
    assert before == after
