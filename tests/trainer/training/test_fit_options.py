"""A run under attack: damaged, mixed up or unfinished, it is refused in one line or resumed."""

import csv
import json

import keras
import pytest

from tests.trainer.runs import OPTIONS, resume, said
from trainer.common.run import Run
from trainer.training.checkpoints import RunState


def damaged(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "cut": content[:middle],
        "empty": b"",
        "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "text": b"not a network",
    }


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "text"])
def test_a_damaged_checkpoint_is_refused(trainer, data, stopped, copied, capsys, how):
    run = copied(stopped)
    newest = max((run / "checkpoints").glob("epoch-*.keras"))
    newest.write_bytes(damaged(newest.read_bytes())[how])
    assert resume(trainer, data, run) == 1
    assert "was not written by this run" in said(capsys)


def test_another_runs_checkpoint_is_refused(trainer, data, stopped, copied, capsys):
    """Found in review: a run took any network for its own, and exported it under its name."""
    run = copied(stopped)
    newest = max((run / "checkpoints").glob("epoch-*.keras"))
    layers = keras.layers.Input((256, 256, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)
    stranger = keras.Sequential(layers)
    stranger.compile("adam", "categorical_crossentropy")
    stranger.save(newest)
    assert resume(trainer, data, run) == 1
    assert "was not written by this run" in said(capsys)


def test_a_run_that_broke_off_goes_on_and_ends_as_if_it_had_not(trainer, data, stopped, finished, copied):
    run = copied(stopped)
    assert resume(trainer, data, run) == 0
    first, second = (json.loads((folder / "metrics.json").read_text()) for folder in (run, finished))
    assert first["test"] == second["test"]
    assert first["calibration"] == second["calibration"]
    assert not list(run.rglob(".partial-*"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("checkpoints/state.json", "{}"),
        ("checkpoints/state.json", "junk"),
        ("checkpoints/state.json", '{"epochs": 3}'),
        ("checkpoints/state.json", '{"epoch": 9, "best_epoch": 1, "history": []}'),
        ("config.json", "{}"),
        ("config.json", "[]"),
        ("split.csv", "part,source\ntrain"),
        ("split.csv", "\0\0"),
        ("split.csv", ""),
    ],
)
def test_damaged_state_is_one_clear_line(trainer, data, stopped, copied, capsys, file, content):
    run = copied(stopped)
    (run / file).write_text(content)
    assert resume(trainer, data, run) == 1
    assert "error: " in said(capsys)


def test_a_split_that_lost_rows_is_refused(trainer, data, stopped, finished, copied, capsys):
    """Found in review: half the training part was gone, and nobody was told."""
    run = copied(stopped)
    with (run / "split.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    with (run / "split.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([row for number, row in enumerate(rows) if row[0] != "train" or number % 2])
    assert resume(trainer, data, run) == 1
    assert "is not the original split of its run" in said(capsys)


@pytest.mark.parametrize("out", ["taken", "file/run", "dangling", "n" * 220])
def test_a_run_that_cannot_be_made_is_refused_before_the_scan(trainer, data, tmp_path, capsys, monkeypatch, out):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr("trainer.training.fit.scan", lambda *_, **__: pytest.fail("it was scanned"))
    assert trainer("fit", data, *OPTIONS, "--out", tmp_path / out) == 1
    assert "error: " in said(capsys)


def test_a_state_from_before_digests_were_kept_is_read(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"epoch": 1, "best_epoch": 1, "history": [{"epoch": 1}]}))
    assert RunState.load(tmp_path).sha256 == {}
    assert RunState.load(tmp_path / "none") == RunState()
    assert Run(tmp_path).folder == tmp_path
