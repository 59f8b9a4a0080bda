"""``trainer fit`` as a person runs it, and everything that can go wrong."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, until
from tests.trainer.cli.rows import rows

FILES = {
    "audit.html",
    "audit.json",
    "config.json",
    "confusion_matrix.png",
    "history.csv",
    "history.png",
    "metrics.json",
    "model.keras",
    "model.onnx",
    "reliability.png",
    "roc.png",
    "split.csv",
}


@pytest.fixture(scope="module")
def fitted(trainer, faces, tmp_path_factory) -> Path:
    """A fit as users run it, not eager."""
    run = tmp_path_factory.mktemp("runs") / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "2", "--batch-size", "16", "--out", run)
    assert trainer("fit", faces, *options, eager=False) == 0
    return run


def test_a_fit_leaves_exactly_the_promised_files(fitted):
    assert {path.name for path in fitted.iterdir()} == FILES


def test_history_has_a_row_an_epoch(fitted):
    history = rows(fitted / "history.csv")
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert {"accuracy", "loss", "val_accuracy", "val_loss", "seconds"} <= set(history[0])


def test_metrics_hold_every_promised_figure(fitted):
    metrics = json.loads((fitted / "metrics.json").read_text())
    promised = {"accuracy", "precision", "recall", "f1", "roc_auc", "confusion_matrix"}
    assert promised <= set(metrics["test"]["pooled"])
    assert set(metrics["test"]["sources"]) == {"faces"}
    assert metrics["parity"]["max_difference"] <= 1e-4
    assert metrics["calibration"]["temperature"] > 0


def test_config_records_what_decided_the_result(fitted, faces):
    config = json.loads((fitted / "config.json").read_text())
    assert config["seed"] == 42
    assert config["recipe"]["epochs"] == 2
    assert len(config["dataset"]["fingerprint"]) == 64
    assert config["dataset"]["counts"] == {"faces/fake": 24, "faces/real": 24}
    assert {"keras", "tensorflow", "numpy", "pillow", "python"} <= set(config["library_versions"])
    assert config["commit"]


def test_a_fit_records_what_its_audit_found(fitted):
    config = json.loads((fitted / "config.json").read_text())
    written = json.loads((fitted / "audit.json").read_text())
    assert config["audit"]["verdict"] == written["verdict"] in ("separable", "clean")
    assert config["audit"]["cheat_score"] == written["pooled"]["score"]
    assert config["after_preprocessing"]["balance"] == "cues"
    summary = json.loads((fitted / "metrics.json").read_text())["summary"]
    assert summary["cheat_score_of_files"] == written["pooled"]["score"]
    assert Engine.load(fitted / "model.onnx", EngineOptions("cpu")).spec.metrics == summary


def test_held_out_source_is_scored_and_never_trained_on(trainer, faces, write_faces, tmp_path):
    second_folder, run = write_faces(tmp_path / "other", 6, 6, seed=5), tmp_path / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "1", "--batch-size", "16", "--out", run)
    assert trainer("fit", faces, second_folder, *options, "--holdout-source", "other") == 0
    parts = {(row["part"], row["source"]) for row in rows(run / "split.csv") if row["part"] != "left-out"}
    assert {source for part, source in parts if part != "holdout"} == {"faces"}
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics["holdout"]["sources"]) == ["other"]
    assert metrics["holdout"]["pooled"]["real"] == 6
    assert list(metrics["test"]["sources"]) == ["faces"]


def test_the_model_file_says_what_the_run_was(fitted):
    config, metrics = (json.loads((fitted / name).read_text()) for name in ("config.json", "metrics.json"))
    spec = Engine.load(fitted / "model.onnx", EngineOptions("cpu")).spec
    assert spec.dataset_fingerprint == config["dataset"]["fingerprint"]
    assert spec.temperature == metrics["calibration"]["temperature"]
    assert (spec.threshold_real, spec.threshold_fake) == (
        metrics["calibration"]["threshold_real"],
        metrics["calibration"]["threshold_fake"],
    )
    assert spec.metrics["test_accuracy"] == metrics["test"]["pooled"]["accuracy"]


def test_fit_on_whole_pictures_records_their_margin(fitted):
    spec = Engine.load(fitted / "model.onnx", EngineOptions("cpu")).spec
    recorded = json.loads((fitted / "config.json").read_text())["faces"]
    assert spec.framing == "whole"
    assert spec.face_margin == recorded["median_margin"] > 1
    assert spec.face_finder == recorded["finder"]


def test_an_existing_run_is_refused_and_left_alone(fitted, faces, trainer, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in fitted.iterdir()}
    assert trainer("fit", faces, "--recipe", "residual-cnn", "--out", fitted) == 1
    assert "exists: name another with --out, or continue it with --resume" in capsys.readouterr().err
    assert {path.name: path.stat().st_mtime_ns for path in fitted.iterdir()} == before


def test_runs_of_several_seeds_can_share_a_split(fitted, faces, trainer, tmp_path, capsys):
    run = tmp_path / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "1", "--batch-size", "16", "--seed", "7", "--out", run)
    assert trainer("fit", faces, *options, "--split-seed", "42") == 0
    assert rows(run / "split.csv") == rows(fitted / "split.csv")
    assert rows(run / "history.csv")[0]["data_order"] != rows(fitted / "history.csv")[0]["data_order"]
    recipe = Engine.load(run / "model.onnx", EngineOptions("cpu")).spec.recipe
    assert (recipe["seed"], recipe["split_seed"]) == (7, 42)
    (run / "checkpoints").mkdir()
    capsys.readouterr()
    assert trainer("fit", faces, *options, "--resume") == 1
    assert "was started with other settings or data: split seed 42, now 7" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("fit", "absent", "--recipe", "residual-cnn", "--out", "run"), 1, "'absent' does not exist"),
        (("fit", ".", "--recipe", "resnet", "--out", "run"), 1, "recipe 'resnet' is not one of"),
        (("fit", ".", "--recipe", "residual-cnn", "--out", "run"), 1, "neither 'real' nor 'fake'"),
        (("fit", ".", "--recipe", "residual-cnn", "--out", "run", "--epochs", "0"), 2, "epochs"),
        (
            ("fit", ".", "--recipe", "residual-cnn", "--out", "run", "--model-version", "v 1"),
            1,
            "metadata 'version': 'v 1'",
        ),
        (("audit", "absent"), 1, "'absent' does not exist"),
        (("audit", ".", "--recipe", "resnet"), 1, "recipe 'resnet' is not one of"),
        (("compare", "absent.onnx", "."), 1, "1 model files and 1 data folders"),
        (("compare", "a.onnx", "b.onnx", "."), 1, "'a.onnx' cannot be read"),
        (("export", "absent"), 1, "'absent' is not a run folder"),
        (("evaluate", "absent.onnx", "."), 1, "'absent.onnx' cannot be read"),
        (("predict", "absent.onnx", "x.jpg"), 1, "'absent.onnx' cannot be read"),
    ],
)
def test_bad_input_is_one_clear_line_and_leaves_nothing(
    trainer, capsys, tmp_path, monkeypatch, arguments, status, message
):
    monkeypatch.chdir(tmp_path)
    assert trainer(*arguments) == status
    error = capsys.readouterr().err
    assert message in error.replace("\n", " ")
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_as_published_reports_on_validation_uncalibrated(trainer, faces, tmp_path):
    run = tmp_path / "run"
    options = ("--recipe", "dilated-cnn-128", "--epochs", "1", "--split", "as-published", "--augment", "classic")
    assert trainer("fit", faces, *options, "--out", run) == 0
    config, metrics = (json.loads((run / name).read_text()) for name in ("config.json", "metrics.json"))
    assert (config["seed"], config["split"], config["recipe"]["augmentation"]) == (5, "as-published", "classic")
    assert metrics["test"]["pooled"]["real"] + metrics["test"]["pooled"]["fake"] == 10
    assert metrics["calibration"]["temperature"] == 1.0
    assert {row["part"] for row in rows(run / "split.csv")} == {"train", "test"}


def test_classic_augmentation_fits_ours_too(trainer, faces, tmp_path):
    options = ("--recipe", "residual-cnn", "--epochs", "1", "--augment", "classic", "--batch-size", "16")
    assert trainer("fit", faces, *options, "--out", tmp_path / "run") == 0


def start(*arguments: object, file_limit: int | None = None) -> subprocess.Popen:
    def limit() -> None:
        if file_limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.Popen(
        [sys.executable, "-m", "trainer", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=limit,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


@pytest.mark.long
def test_ctrl_c_keeps_best_epoch_and_run_resumes_after_a_move(faces, trainer, tmp_path):
    run, data = tmp_path / "run", tmp_path / "faces"
    shutil.copytree(faces, data)
    options = ("--recipe", "residual-cnn", "--epochs", "6", "--batch-size", "8", "--out", run)
    running = start("fit", data, *options)
    until((run / "checkpoints" / "state.json").exists, running)
    running.send_signal(signal.SIGINT)
    _, error = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, error
    assert "continuing with the best epoch so far" in error
    stopped = len(rows(run / "history.csv"))
    before = {row["sha256"]: row["part"] for row in rows(run / "split.csv")}
    assert 1 <= stopped < 6
    assert {path.name for path in run.iterdir()} >= FILES
    Engine.load(run / "model.onnx", EngineOptions("cpu"))
    for path in (*data.glob("real/*"), *data.glob("fake/*")):
        path.rename(path.with_name(f"moved-{path.name}"))
    for name in ("model.int8.onnx", "metrics.int8.json"):
        (run / name).write_bytes(b"of the epoch that was the best one before")
    assert trainer("fit", data, *options, "--resume") == 0
    assert [row["epoch"] for row in rows(run / "history.csv")] == [str(epoch) for epoch in range(1, 7)]
    assert {path.name for path in run.iterdir()} == FILES
    assert {row["sha256"]: row["part"] for row in rows(run / "split.csv")} == before


@pytest.mark.long
def test_full_disk_during_a_save_is_one_line_and_no_partial_file(faces, tmp_path):
    run = tmp_path / "run"
    running = start(
        *("fit", faces, "--recipe", "residual-cnn", "--epochs", "2", "--batch-size", "16", "--out", run),
        file_limit=3_000_000,
    )
    _, error = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert "error: " in error
    assert "File too large" in error
    assert "Traceback" not in error
    assert not [path for path in run.rglob("*") if path.name.startswith(".partial")]
    assert not (run / "model.keras").exists()
    assert not (run / "model.onnx").exists()
