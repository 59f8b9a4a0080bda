"""The start of a run: what a resume must share."""

import json
import shutil

from trainer.common.run import Run
from trainer.data.dataset import Dataset, scan
from trainer.recipes.recipe import get_recipe
from trainer.recipes.run_config import read_run_config, write_run_config
from trainer.training.fit_options import FitOptions
from trainer.training.run_start import identity


def test_resuming_with_another_setting_names_the_setting_alone(fitted, faces, trainer, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(fitted, run)
    (run / "checkpoints").mkdir()
    assert trainer("fit", faces, "--recipe", "residual-cnn", "--epochs", "2", "--out", run, "--resume") == 1
    assert "was started with other settings or data: recipe batch_size 16, now 64" in capsys.readouterr().err.replace(
        "\n", " "
    )


def test_resuming_a_finished_run_is_refused(fitted, faces, trainer, capsys):
    options = ("--recipe", "residual-cnn", "--epochs", "2", "--batch-size", "16", "--out", fitted)
    assert trainer("fit", faces, *options, "--resume") == 1
    assert "has finished" in capsys.readouterr().err


def test_a_run_from_before_a_setting_is_the_same_run(faces, tmp_path):
    options = FitOptions([faces], get_recipe("residual-cnn"), Run(faces), seed=0, split_rule="stratified")
    run = Run(tmp_path)
    config = options.config(scan([faces]), Dataset(()))
    write_run_config(run, config)
    before = json.loads(run.config.read_text())
    for key in ("face_jitter", "initial_weights", "mirror", "consistency", "drawings"):
        del before["recipe"][key]
    del before["outliers"]
    del before["recipe"]["reencoding"]["sharpen"], before["recipe"]["reencoding"]["shrink"]
    for key in ("framing", "face_margin", "face_finder"):
        del before["recipe"]["preprocessing"][key]
    run.config.write_text(json.dumps(before))
    assert identity(read_run_config(run)) == identity(config)
