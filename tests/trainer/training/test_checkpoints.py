"""Which epoch becomes the model."""

import pytest

from tests.trainer.runs import OPTIONS, said
from trainer.training.checkpoints import RunState, best_epoch


@pytest.mark.parametrize(("select", "epoch"), [("last", 4), ("val_accuracy", 2), ("val_loss", 3)])
def test_each_rule_prefers_its_epoch_and_of_equals_the_first(select, epoch):
    rows = zip((1, 2, 3, 4), (0.5, 0.9, 0.9, 0.8), (0.7, 0.4, 0.2, 0.2), strict=True)
    history = [{"epoch": n, "val_accuracy": accuracy, "val_loss": loss} for n, accuracy, loss in rows]
    assert best_epoch(history, select) == epoch


def test_a_nan_is_never_the_best_epoch():
    history = [{"epoch": 1, "val_loss": float("nan")}, {"epoch": 2, "val_loss": 0.4}]
    assert best_epoch(history, "val_loss") == 2


def test_the_state_of_a_new_run_is_empty(tmp_path):
    assert RunState.load(tmp_path) == RunState(0, 0, [])


def test_weights_that_are_not_finite_end_a_fit_in_words(trainer, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainer.training.checkpoints.finite", lambda _: False)
    assert trainer("fit", data, *OPTIONS, "--out", tmp_path / "run") == 1
    assert "training diverged in epoch 1" in said(capsys)
