"""Input pipeline: cached tensors to seeded, augmented batches for Keras."""

import zlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from service.contract.faces.face import Face
from trainer.augment.reencode import Augment
from trainer.data.dataset import Sample
from trainer.training.distribute import ALL, Shard
from trainer.training.pictures import Pictures
from trainer.training.workers import Workers


def one_hot(samples: Sequence[Sample], class_names: tuple[str, str]) -> NDArray[np.float32]:
    """Return float32 ``[N, 2]`` labels in the model's class order; of what is neither, half of each."""
    rows = dict(zip((*class_names, "neither"), ((1, 0), (0, 1), (0.5, 0.5)), strict=True))
    return np.array([rows[sample.label] for sample in samples], dtype=np.float32).reshape(-1, 2)


class Batches(keras.utils.PyDataset):
    """Batches whose order and augmentation depend on ``(seed, epoch, image)`` alone.

    So a resumed run sees the data that the interrupted one would have seen, however many threads or
    processes prepare it and over however many processes a batch is divided.
    """

    def __init__(
        self,
        tensors: NDArray[np.uint8],
        labels: NDArray[np.float32],
        batch_size: int,
        *,
        larger: NDArray[np.uint8] | None = None,
        faces: Sequence[Face | None] | None = None,
        weights: NDArray[np.float32] | None = None,
        alternating: Sequence[NDArray[np.int64]] = (),
        augment: Augment | None = None,
        drawings: float = 0.0,
        views: int = 1,
        seed: int | None = None,
        first_epoch: int = 0,
        threads: int = 1,
        processes: int = 0,
        shard: Shard = ALL,
    ) -> None:
        """Prepare batches.

        Args:
            tensors: uint8 ``[N, H, W, 3]``, as served.
            labels: float32 ``[N, 2]``.
            batch_size: images a step, over all processes and views.
            larger: uint8 ``[N, H', W', 3]`` of the same pictures, for ``augment`` to crop from;
                default: ``tensors``.
            faces: of each picture, in pixels of ``larger``.
            weights: float32 ``[N]``.
            alternating: sets of rows of which an epoch shows one half, and the next epoch the other.
            augment: what to do to each image.
            drawings: share of the images that are made drawings of, of which both classes are equally right.
            views: how often each image stands in a batch, one after the other and augmented anew.
            seed: of order and augmentation; None keeps the given order, as validation wants.
            first_epoch: epochs that were seen before a resume.
            threads: of this process, that prepare batches.
            processes: that prepare them instead, where not 0.
            shard: which part of every batch is this process's.
        """
        # A thread waits for each process; two more have the next request ready.
        threads = processes + 2 if processes else threads
        super().__init__(workers=threads, use_multiprocessing=False, max_queue_size=max(8, threads + 4))
        larger = tensors if larger is None else larger
        self._pictures = Pictures(tensors, larger, faces, augment, views, seed or 0, drawings)
        self._maker = Workers(self._pictures, processes) if processes else self._pictures
        self._labels, self._weights = labels, weights
        self._alternating = alternating
        self._batch_size, self._seed, self._shard = batch_size // views, seed, shard
        self._views = views
        self._epoch = first_epoch
        self._order = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        order = np.arange(len(self._labels))
        if self._seed is not None:
            if len(self._alternating):
                halves = [self._half(rows, self._seed) for rows in self._alternating]
                order = np.concatenate([np.delete(order, np.concatenate(self._alternating)), *halves])
            np.random.default_rng((self._seed, self._epoch)).shuffle(order)
        return order

    def _half(self, rows: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """Return half of the rows, cut anew every second epoch; as many in each, so an odd one comes twice."""
        pair, second = divmod(self._epoch, 2)
        mixed, half = np.random.default_rng((seed, pair, len(rows))).permutation(rows), -(-len(rows) // 2)
        return mixed[len(rows) - half :] if second else mixed[:half]

    def __len__(self) -> int:
        whole, rest = divmod(len(self._order), self._batch_size)
        return whole + (rest >= self._shard.devices)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        chosen = self._shard.of(self._order[index * self._batch_size : (index + 1) * self._batch_size])
        images = self._maker.batch(self._epoch, chosen)
        drawn = self._pictures.drawn(self._epoch, chosen)[:, None]
        labels = np.where(drawn, np.float32(0.5), self._labels[chosen])
        shown = np.repeat(chosen, self._views)
        batch = (images, np.repeat(labels, self._views, axis=0))
        return batch if self._weights is None else (*batch, self._weights[shown])

    def close(self) -> None:
        """End the processes that prepare batches, where there are any."""
        if isinstance(self._maker, Workers):
            self._maker.close()

    @property
    def lost(self) -> bool:
        """Whether one of them was killed; the backend may have wrapped what it raised."""
        return isinstance(self._maker, Workers) and self._maker.lost

    def order_digest(self) -> str:
        """Return a digest of this epoch's order, to show that a resumed run sees the same."""
        return f"crc32:{zlib.crc32(self._order.tobytes()):08x}"

    def on_epoch_end(self) -> None:
        """Turn to the next epoch's order; Keras calls this with every worker stopped."""
        self._epoch += 1
        self._order = self._shuffled()
