"""Batches from flat keyword arguments, as most tests change one of them only."""

from typing import Any

import numpy as np

from trainer.training.augmented_pictures import AugmentedPictures
from trainer.training.distribute import ALL, Shard
from trainer.training.pipeline import Batches, BatchOrder, Parallelism, Targets


def flat_batches(
    tensors: np.ndarray,
    labels: np.ndarray,
    batch_size: int,
    *,
    seed: int | None = None,
    weights: np.ndarray | None = None,
    first_epoch: int = 0,
    halved: Any = (),
    threads: int = 1,
    processes: int = 0,
    shard: Shard = ALL,
    **pictures: Any,
) -> Batches:
    return Batches(
        AugmentedPictures(tensors, seed=seed or 0, **pictures),
        Targets(labels, weights),
        BatchOrder(batch_size, seed is not None, first_epoch, halved),
        Parallelism(threads, processes, shard),
    )
