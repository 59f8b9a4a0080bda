"""Publishing as a person does it: a run into models/, through the gates, whole or not at all."""

import json
from pathlib import Path

import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from tests.trainer.runs import GOOD
from trainer.release.publish import published_model


def test_first_model_is_published_and_a_better_replaces_it(trainer, run_with, elsewhere, tmp_path, capsys):
    models = tmp_path / "models"
    assert trainer("publish", run_with("1"), "--models", models, "--robustness", "4") == 0
    folder = models / "residual-cnn" / "1"
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "metrics.json", "MODEL_CARD.md"}
    assert published_model(models) == folder / "model.onnx"
    assert Engine.load(folder / "model.onnx", EngineOptions("cpu")).spec.version == "1"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert all(gate["passed"] for gate in metrics["release"]["gates"])
    assert metrics["history"], "the run's own figures stay"
    assert trainer("publish", run_with("2"), "--models", models, "--elsewhere", elsewhere, "--robustness", "4") == 0
    assert published_model(models) == models / "residual-cnn" / "2" / "model.onnx"
    assert sorted(path.name for path in models.iterdir()) == ["DEFAULT", "residual-cnn"]
    capsys.readouterr()
    assert trainer("publish", run_with("3"), "--models", models, "--robustness", "4") == 1
    printed = capsys.readouterr()
    assert "reals of others not called fake, elsewhere: not measured" in printed.err.replace("\n", " ")
    (row,) = [line for line in printed.out.splitlines() if "reals of others" in line]
    assert "not measured" in row
    assert "nan" not in printed.out


def test_card_states_measurements_and_how_to_reproduce(trainer, run_with, tmp_path):
    run = run_with("1")
    config = json.loads((run / "config.json").read_text())
    config["outliers"] = {"fingerprint": "f" * 64, "counts": {"comics/neither": 7, "busts/neither": 3}}
    (run / "config.json").write_text(json.dumps(config))
    assert trainer("publish", run, "--models", tmp_path / "models", "--robustness", "4") == 0
    card = (tmp_path / "models" / "residual-cnn" / "1" / "MODEL_CARD.md").read_text()
    assert card.startswith("# residual-cnn 1\n")
    assert "| shades | 40 | 40 |" in card
    short = card[card.index("## In short") : card.index("## Data")]
    assert "training sources: of 1,000 real faces it calls 0 fake, of 1,000 fakes it calls 0 real" in short
    assert "Its worst source is shades" in short
    assert "| shades | 4 | 4 | 1.000 | 0.0 % | 0.0 % | 0.0 % |" in card
    assert "Outliers (target 0.5 for both classes): 3 pictures of busts, 7 pictures of comics, fingerprint `fff" in card
    assert "Drawings of 8 of these pictures (neither photo nor generated):" in card
    assert card.count("| flat colours |") == 1
    made = "trainer fit shades \\\n    --recipe residual-cnn --set 'batch_size=16' --set 'epochs=1' "
    assert made + "--outliers busts --outliers comics --out RUN" in card
    assert "| verdicts that flip | 0 | ≤ 0.03 | – |" in card
    assert str(tmp_path) not in card


@pytest.mark.parametrize(
    ("worse", "gate"),
    [
        ({"weights": -GOOD}, "AUC, clean: 0, under 0.995"),
        ({"threshold_real": 0.0, "threshold_fake": 1.0}, "called by their name, mean of both classes"),
        ({"threshold_real": 0.0, "threshold_fake": 0.0}, "reals of shades not called fake: 0, under 0.98"),
        ({"temperature": 10.0}, "calibration error (ECE)"),
    ],
)
def test_a_worse_model_is_refused_by_name_and_changes_nothing(trainer, run_with, tmp_path, capsys, worse, gate):
    models = tmp_path / "models"
    assert trainer("publish", run_with("1"), "--models", models, "--robustness", "4") == 0
    before = {path: path.read_bytes() for path in models.rglob("*") if path.is_file()}
    assert trainer("publish", run_with("2", **worse), "--models", models, "--robustness", "4") == 1
    said = capsys.readouterr().err.replace("\n", " ")
    assert gate in said
    assert "not published" in said
    assert {path: path.read_bytes() for path in models.rglob("*") if path.is_file()} == before


def test_published_model_with_a_different_split_keeps_figures(trainer, run_with, tmp_path, capsys):
    models = tmp_path / "models"
    assert trainer("publish", run_with("1"), "--models", models, "--robustness", "4") == 0
    recorded = models / "residual-cnn" / "1" / "metrics.json"
    metrics = json.loads(recorded.read_text())
    del metrics["release"]
    metrics["test"]["pooled"]["roc_auc"] = 0.9
    recorded.write_text(json.dumps(metrics))
    wrong = run_with("0", weights=-GOOD) / "model.onnx"
    (models / "residual-cnn" / "1" / "model.onnx").write_bytes(wrong.read_bytes())
    capsys.readouterr()
    assert trainer("publish", run_with("2"), "--models", models, "--robustness", "4", "--check") == 0
    said = capsys.readouterr()
    assert "has another test part" in said.err.replace("\n", " ")
    assert "0.9 " in next(line for line in said.out.splitlines() if "AUC, clean" in line)
    # It recorded no tiers and no flips: they were measured, with its own file, on the run's test part.
    rows = {line.split("│")[1].strip(): line.split("│")[4].strip() for line in said.out.splitlines() if "│" in line}
    assert (rows["AUC, hard"], rows["verdicts that flip"]) == ("0", "0")
    assert 0.5 < float(rows["drawings with a sure verdict"]) <= 1


def test_check_measures_says_by_its_status_and_publishes_nothing(trainer, run_with, tmp_path, capsys):
    options = ("--models", tmp_path / "models", "--robustness", "4", "--check")
    assert trainer("publish", run_with("1"), *options) == 0
    said = capsys.readouterr()
    assert "megabytes" in said.out
    assert "nothing is published in" in said.err
    assert trainer("publish", run_with("2", weights=-GOOD), *options) == 1
    assert "FAILED" in capsys.readouterr().out
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("command", ["publish", "rank"])
def test_training_pictures_of_a_run_are_refused_as_elsewhere(trainer, run_with, shades, capsys, command):
    assert trainer(command, run_with("1"), "--elsewhere", shades) == 1
    assert "was trained or calibrated on pictures of shades" in capsys.readouterr().err.replace("\n", " ")


def test_where_the_default_cannot_be_written_nothing_stays(trainer, run_with, tmp_path, monkeypatch, capsys):
    models, run = tmp_path / "models", run_with("1")

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("trainer.release.publish.atomic_path", full)
        assert trainer("publish", run, "--models", models, "--robustness", "4") == 1
    assert "No space left on device" in capsys.readouterr().err.replace("\n", " ")
    assert not [path for path in models.rglob("*") if path.is_file()]
    assert trainer("publish", run, "--models", models, "--robustness", "4") == 0


def test_a_version_is_published_once(trainer, run_with, tmp_path, capsys):
    options = ("--models", tmp_path / "models", "--robustness", "4")
    run = run_with("1")
    assert trainer("publish", run, *options) == 0
    assert trainer("publish", run, *options) == 1
    assert "is already published" in capsys.readouterr().err.replace("\n", " ")


def test_what_cannot_be_published_is_refused(trainer, run_with, tmp_path, capsys):
    run = run_with("1")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "DEFAULT").write_text("gone/1\n")
    assert trainer("publish", run, "--models", tmp_path / "models") == 1
    assert "which holds no model.onnx" in capsys.readouterr().err.replace("\n", " ")
    (run / "metrics.json").unlink()
    assert trainer("publish", run, "--models", tmp_path / "none") == 1
    assert "is not ready: publish needs its model.onnx and metrics.json" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("command", ["publish", "rank"])
def test_another_runs_model_in_a_run_is_refused(trainer, run_with, make_model, make_spec, tmp_path, capsys, command):
    """Found in review: a model.onnx that was copied into a run took first place, and was measured for release."""
    run, different_model = run_with("1"), make_model(make_spec(name="efficientnet-lite", version="1"), weights=GOOD)
    (run / "model.onnx").write_bytes(different_model)
    models = ("--models", tmp_path / "models", "--robustness", "4") if command == "publish" else ()
    assert trainer(command, run, *models) == 1
    assert "is not this run's model: it holds efficientnet-lite 1" in capsys.readouterr().err.replace("\n", " ")
