"""Feed: the batches that a fit shows its network."""

from pathlib import Path

import numpy as np

from trainer.audit.after_preprocessing import weigh
from trainer.audit.weights import one_class_sources
from trainer.augment.reencode import make_augment
from trainer.common.files import write_json
from trainer.common.progress import console
from trainer.data.face_framing import faces_in_tensors
from trainer.data.splits import Split
from trainer.data.tensors import cache_tensors
from trainer.training.distribute import Shard
from trainer.training.pipeline import Batches, one_hot
from trainer.training.start import FitOptions

_AUGMENT_THREADS = 2


def training_batches(options: FitOptions, parts: Split, cache: Path, epoch: int, shard: Shard) -> Batches:
    """Return the training part and the outliers, weighted and augmented as the recipe says.

    Args:
        options: of the fit; its run records what preprocessing has left of the cues.
        parts: of the run.
        cache: folder of decoded tensors.
        epoch: epochs finished.
        shard: what of every batch is this process's.
    """
    recipe, classed, samples = options.recipe, parts.train, [*parts.train, *parts.outliers]
    tensors = cache_tensors(samples, recipe.preprocessing, cache, "training")
    larger = None
    if recipe.train_preprocessing != recipe.preprocessing:
        larger = cache_tensors(samples, recipe.train_preprocessing, cache, "training, larger")
    weights, left = weigh(classed, tensors[: len(classed)], recipe.balance)
    if weights is not None:
        weights = np.concatenate([weights, np.ones(len(parts.outliers), np.float32)])
    augment = make_augment(recipe)
    if shard.writes:
        write_json(options.run.config, {**options.run.read_config(), "after_preprocessing": left})
        console.print(left["sentence"])
    return Batches(
        tensors,
        one_hot(samples, recipe.class_names),
        recipe.batch_size,
        larger=larger,
        faces=faces_in_tensors(samples, recipe.train_preprocessing),
        weights=weights,
        alternating=one_class_sources(classed) if recipe.balance == "subsample" else (),
        augment=augment,
        drawings=recipe.drawings,
        views=recipe.views,
        seed=options.seed,
        first_epoch=epoch,
        threads=1 if augment is None else _AUGMENT_THREADS,
        processes=0 if augment is None else options.workers,
        shard=shard,
    )
