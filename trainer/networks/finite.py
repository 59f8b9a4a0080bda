"""Check that the weights of a network are finite, so that a diverged network is not exported."""

import keras
import numpy as np


def finite(model: keras.Model) -> bool:
    """Return whether all weights of a network are finite."""
    return all(bool(np.isfinite(keras.ops.convert_to_numpy(weight)).all()) for weight in model.weights)


def diverged(epoch: int) -> str:
    """Return the error message for weights that have become NaN or infinite."""
    return f"training diverged in epoch {epoch}: weights are not finite; start a new run with a smaller --learning-rate"
