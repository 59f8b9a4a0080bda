"""Input pipeline: cached tensors to seeded, augmented batches for Keras."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.augment import Augment
from trainer.dataset import Sample, is_fake
from trainer.recipes import Balance


def one_hot(samples: Sequence[Sample], class_names: tuple[str, str]) -> NDArray[np.float32]:
    """Return float32 ``[N, 2]`` labels in the model's class order."""
    indices = [class_names.index(sample.label) for sample in samples]
    return np.eye(2, dtype=np.float32)[indices]


def sample_weights(samples: Sequence[Sample], balance: Balance) -> NDArray[np.float32] | None:
    """Return float32 ``[N]`` weights of mean 1 by the recipe's ``balance``; None for ``none``."""
    if balance == "none":
        return None
    labels = {source: {s.label for s in samples if s.source == source} for source in {s.source for s in samples}}
    weights = np.array([1.0 if len(labels[s.source]) == 2 else 0.5 for s in samples])
    fake = is_fake(samples)
    for chosen in (fake, ~fake):
        weights[chosen] *= len(samples) / 2 / weights[chosen].sum()
    return weights.astype(np.float32)


class Batches(keras.utils.PyDataset):
    """Batches whose order and augmentation depend on ``(seed, epoch, position)`` alone.

    So a resumed run sees the data that the interrupted one would have seen, however many worker
    threads prepare it.
    """

    def __init__(
        self,
        tensors: NDArray[np.uint8],
        labels: NDArray[np.float32],
        batch_size: int,
        *,
        weights: NDArray[np.float32] | None = None,
        augment: Augment | None = None,
        seed: int | None = None,
        first_epoch: int = 0,
        workers: int = 1,
    ) -> None:
        """``seed`` None keeps the given order, as validation wants."""
        super().__init__(workers=workers, use_multiprocessing=False, max_queue_size=8)
        self._tensors, self._labels, self._weights = tensors, labels, weights
        self._batch_size, self._augment, self._seed = batch_size, augment, seed
        self._epoch = first_epoch
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.arange(len(self._labels))
        if self._seed is not None:
            np.random.default_rng((self._seed, self._epoch)).shuffle(order)
        return order

    def __len__(self) -> int:
        return math.ceil(len(self._labels) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        images = self._tensors[np.sort(chosen)][np.argsort(np.argsort(chosen))]
        if self._augment is not None:
            rng = np.random.default_rng((self._seed or 0, self._epoch, index))
            images = np.stack([self._augment(image, rng) for image in images])
        batch = (images, self._labels[chosen])
        return batch if self._weights is None else (*batch, self._weights[chosen])

    def on_epoch_end(self) -> None:
        """Turn to the next epoch's order; Keras calls this with every worker stopped."""
        self._epoch += 1
        self._order = self._shuffled()
