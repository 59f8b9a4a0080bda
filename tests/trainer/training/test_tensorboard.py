"""Event files of TensorBoard."""

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from trainer.common.history import read_history


@pytest.mark.long
def test_a_fit_by_a_recipe_file_on_a_terminal_with_tensorboard(faces, tmp_path):
    """As a person runs it: a pseudo-terminal shows the view, and TensorBoard's own reader reads the events."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    recipe = tmp_path / "mine.toml"
    recipe.write_text('recipe = "residual-cnn"\nepochs = 2\nbatch_size = 8\ncache_side = 128\n')
    run = tmp_path / "run"
    command = [sys.executable, "-m", "trainer", "fit", faces, "--recipe", recipe, "--out", run, "--tensorboard"]
    child, terminal = pty.fork()
    if not child:
        os.chdir(REPOSITORY)
        environment = os.environ | {"COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
        os.execvpe(sys.executable, list(map(str, command)), environment)  # noqa: S606
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65_536)
        except OSError:  # the terminal is closed: it has ended
            break
        if not piece:
            break
        seen += piece
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode("utf-8", "replace"))
    assert os.waitstatus_to_exitcode(status) == 0, shown[-2000:]
    assert re.search(r"epoch 2 of 2, \d+ pictures a second, about \d+ s left", shown)
    assert "AUC, validation" in shown
    assert "validating" in shown
    history = read_history(run / "history.csv")
    for phase, key in (("training", "auc"), ("validation", "val_auc")):
        events = EventAccumulator(str(run / "tensorboard" / phase))
        events.Reload()
        assert {"accuracy", "auc", "loss"} <= set(events.Tags()["scalars"])
        assert [event.step for event in events.Scalars("auc")] == [1, 2]
        assert [event.value for event in events.Scalars("auc")] == pytest.approx(
            [row[key] for row in history], abs=1e-5
        )


def test_without_the_extra_it_says_what_to_install(faces, tmp_path, trainer, monkeypatch, capsys):
    monkeypatch.setattr("trainer.training.tensorboard.find_spec", lambda name: None)
    assert trainer("fit", faces, "--recipe", "residual-cnn", "--out", tmp_path / "run", "--tensorboard") == 1
    assert "face-authenticity[tensorboard]" in " ".join(capsys.readouterr().err.split())
    assert not Path(tmp_path / "run").exists()
