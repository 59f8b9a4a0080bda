"""Milliseconds a picture of a training step, with batch normalisation in one kernel and with Keras's own."""

import os
import time
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.bench.timing import Row, print_table

_BATCH, _STEPS, _ROUNDS = 48, 4, 3


def main() -> None:
    """Train the same network both ways in turn, on one batch of noise."""
    import keras
    import numpy as np

    from trainer.networks.networks import compiled_network
    from trainer.recipes.recipe import RECIPES

    recipe = RECIPES["efficientnet-lite"]
    with mock.patch("trainer.networks.efficientnet.FusedBatchNormalization", keras.layers.BatchNormalization):
        stock = compiled_network(recipe, steps=100)
    networks = (stock, compiled_network(recipe, steps=100))
    rng, side = np.random.default_rng(0), recipe.preprocessing.input_height
    images = rng.integers(0, 256, (_BATCH, side, side, 3), dtype=np.uint8)
    labels = np.eye(2, dtype=np.float32)[rng.integers(0, 2, _BATCH)]
    seconds = [[], []]
    for turn in range(_ROUNDS + 1):
        for network, taken in zip(networks, seconds, strict=True):
            start = time.perf_counter()
            for _ in range(_STEPS):
                network.train_on_batch(images, labels)
            if turn:  # the first builds the graph
                taken.append(time.perf_counter() - start)
    first, second = (1000 * min(taken) / (_STEPS * _BATCH) for taken in seconds)
    print_table("training step, ms a picture", ("Keras's", "one kernel"), [Row(recipe.name, first, second)])
