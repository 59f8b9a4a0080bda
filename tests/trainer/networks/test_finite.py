"""A network that diverged is refused."""

import keras
import numpy as np
import pytest

from trainer.common.errors import TrainerError
from trainer.training.checkpoints import load_network


def test_a_network_with_nan_in_it_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    kernel, bias = model.get_weights()
    kernel[0, 0] = np.nan
    model.set_weights([kernel, bias])
    model.save(tmp_path / "model.keras")
    with pytest.raises(TrainerError, match="not finite"):
        load_network(tmp_path / "model.keras")
