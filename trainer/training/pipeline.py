"""Input pipeline: turn cached tensors into seeded, augmented batches for Keras."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainer.audit.after_preprocessing import weigh
from trainer.audit.weights import one_class_sources
from trainer.augment.reencode import make_augment
from trainer.data.dataset import Sample
from trainer.data.face_framing import faces_in_tensors
from trainer.data.splits import Split
from trainer.data.tensors import cache_tensors
from trainer.training.augmented_pictures import AugmentedPictures
from trainer.training.distribute import ALL, Shard
from trainer.training.fit_options import FitOptions
from trainer.training.workers import Workers

_AUGMENT_THREADS = 2


def one_hot(samples: Sequence[Sample], class_names: tuple[str, str]) -> NDArray[np.float32]:
    """Return float32 ``[N, 2]`` labels in the model's class order; ``neither`` is 0.5 for both classes."""
    rows = dict(zip((*class_names, "neither"), ((1, 0), (0, 1), (0.5, 0.5)), strict=True))
    return np.array([rows[sample.label] for sample in samples], dtype=np.float32).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Targets:
    """Training targets, one row per picture.

    Attributes:
        labels: float32 ``[N, 2]``.
        weights: float32 ``[N]``; None: equal weights.
    """

    labels: NDArray[np.float32]
    weights: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """Order of the pictures and batch size.

    Attributes:
        batch_size: pictures per step, over all processes and views.
        shuffle: shuffle each epoch, with the seed of the pictures; otherwise keep the order of the tensors.
        first_epoch: epochs finished before a resume.
        halved: sets of rows of which alternate epochs show alternate halves.
    """

    batch_size: int
    shuffle: bool = False
    first_epoch: int = 0
    halved: Sequence[NDArray[np.int64]] = ()


@dataclass(frozen=True, slots=True)
class Parallelism:
    """Threads, processes and shard that prepare the batches.

    Attributes:
        threads: threads of this process.
        processes: worker processes; if not 0, they replace the threads.
        shard: share of every batch that belongs to this process.
    """

    threads: int = 1
    processes: int = 0
    shard: Shard = ALL


class Batches(keras.utils.PyDataset):
    """Batches whose order and augmentation depend only on ``(seed, epoch, picture)``.

    A resumed run therefore sees the same data as an uninterrupted one, regardless of the number of threads, worker
    processes and distributed processes.

    Args:
        pictures: tensors and their augmentation.
        targets: labels and weights.
        order: order of the pictures and batch size.
        parallelism: threads, processes and shard that prepare the batches.
    """

    def __init__(
        self,
        pictures: AugmentedPictures,
        targets: Targets,
        order: BatchOrder,
        parallelism: Parallelism = Parallelism(),
    ) -> None:
        processes = parallelism.processes
        # One thread waits for each process; two more keep the next requests ready.
        threads = processes + 2 if processes else parallelism.threads
        super().__init__(workers=threads, use_multiprocessing=False, max_queue_size=max(8, threads + 4))
        self._pictures, self._targets, self._order, self._shard = pictures, targets, order, parallelism.shard
        self._producer = Workers(pictures, processes) if processes else pictures
        self._batch_size = order.batch_size // pictures.views
        self._epoch = order.first_epoch
        self._rows = self._shuffled()

    def _shuffled(self) -> NDArray[np.int64]:
        rows, halved = np.arange(len(self._targets.labels)), self._order.halved
        if not self._order.shuffle:
            return rows
        if len(halved):
            halves = [self._half(half) for half in halved]
            rows = np.concatenate([np.delete(rows, np.concatenate(halved)), *halves])
        np.random.default_rng((self._pictures.seed, self._epoch)).shuffle(rows)
        return rows

    def _half(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return half of the rows, reshuffled every second epoch; of an odd number, one row is in both halves."""
        pair, second = divmod(self._epoch, 2)
        half = -(-len(rows) // 2)
        shuffled = np.random.default_rng((self._pictures.seed, pair, len(rows))).permutation(rows)
        return shuffled[len(rows) - half :] if second else shuffled[:half]

    def __len__(self) -> int:
        whole, rest = divmod(len(self._rows), self._batch_size)
        return whole + (rest >= self._shard.devices)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        rows = self._shard.of(self._rows[index * self._batch_size : (index + 1) * self._batch_size])
        images = self._producer.batch(self._epoch, rows)
        drawn = self._pictures.drawn(self._epoch, rows)[:, None]
        labels = np.where(drawn, np.float32(0.5), self._targets.labels[rows])
        views, weights = self._pictures.views, self._targets.weights
        batch = (images, np.repeat(labels, views, axis=0))
        return batch if weights is None else (*batch, weights[np.repeat(rows, views)])

    def close(self) -> None:
        """Stop the worker processes, if any."""
        if isinstance(self._producer, Workers):
            self._producer.close()

    @property
    def lost(self) -> bool:
        """Whether a worker process was killed; the backend may have wrapped its exception."""
        return isinstance(self._producer, Workers) and self._producer.lost

    def order_digest(self) -> str:
        """Return a digest of this epoch's order, to verify that a resumed run sees the same order."""
        return f"crc32:{zlib.crc32(self._rows.tobytes()):08x}"

    def on_epoch_end(self) -> None:
        """Draw the next epoch's order; Keras calls this while all workers are stopped."""
        self._epoch += 1
        self._rows = self._shuffled()


def training_batches(
    options: FitOptions, parts: Split, cache: Path, epoch: int, shard: Shard
) -> tuple[Batches, dict[str, Any]]:
    """Return the training part and the outliers, weighted and augmented according to the recipe.

    Args:
        options: options of the fit.
        parts: split of the run.
        cache: folder of decoded tensors.
        epoch: number of finished epochs.
        shard: share of this process.

    Returns:
        the batches, and the shortcut scores of the tensors (:func:`trainer.audit.after_preprocessing.weigh`).
    """
    recipe, samples = options.recipe, [*parts.train, *parts.outliers]
    tensors = cache_tensors(samples, recipe.preprocessing, cache, "training")
    larger = None
    if recipe.train_preprocessing != recipe.preprocessing:
        larger = cache_tensors(samples, recipe.train_preprocessing, cache, "training, larger")
    weights, scores = weigh(parts.train, tensors[: len(parts.train)], recipe.balance)
    if weights is not None:
        weights = np.concatenate([weights, np.ones(len(parts.outliers), np.float32)])
    augment, faces = make_augment(recipe), faces_in_tensors(samples, recipe.train_preprocessing)
    halved = one_class_sources(parts.train) if recipe.balance == "subsample" else ()
    batches = Batches(
        AugmentedPictures(
            served=tensors,
            larger=larger,
            faces=faces,
            augment=augment,
            views=recipe.views,
            seed=options.seed,
            drawings=recipe.drawings,
        ),
        Targets(one_hot(samples, recipe.class_names), weights),
        BatchOrder(recipe.batch_size, shuffle=True, first_epoch=epoch, halved=halved),
        Parallelism(threads=_AUGMENT_THREADS, processes=options.workers, shard=shard)
        if augment
        else Parallelism(shard=shard),
    )
    return batches, scores


def validation_batches(options: FitOptions, parts: Split, cache: Path, shard: Shard) -> Batches:
    """Return the validation part, preprocessed as served, in the order of the split."""
    recipe = options.recipe
    return Batches(
        AugmentedPictures(cache_tensors(parts.validation, recipe.preprocessing, cache, "validation")),
        Targets(one_hot(parts.validation, recipe.class_names)),
        BatchOrder(recipe.batch_size),
        Parallelism(shard=shard),
    )
