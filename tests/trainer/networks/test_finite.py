"""A network that diverged is refused."""

import keras
import numpy as np
import pytest

from tests.trainer.runs import OPTIONS, said
from trainer.common.errors import TrainerError
from trainer.training.checkpoints import load_network


def test_weights_that_are_not_finite_end_a_fit_in_words(trainer, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainer.training.checkpoints.finite", lambda _: False)
    assert trainer("fit", data, *OPTIONS, "--out", tmp_path / "run") == 1
    assert "training diverged in epoch 1" in said(capsys)


def test_a_network_with_nan_in_it_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    kernel, bias = model.get_weights()
    kernel[0, 0] = np.nan
    model.set_weights([kernel, bias])
    model.save(tmp_path / "model.keras")
    with pytest.raises(TrainerError, match="not finite"):
        load_network(tmp_path / "model.keras")
