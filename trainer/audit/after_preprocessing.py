"""Shortcut score of the training tensors, and the image weights that lower it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.audit.shortcut_score import ShortcutScore, shortcut_score
from trainer.audit.weights import by_class, by_cues, by_cues_held_out, by_source, effective_share
from trainer.common.progress import track
from trainer.data.dataset import Sample, is_fake
from trainer.data.memory_map import release
from trainer.data.picture_facts import Facts, facts_of_tensor
from trainer.data.tensors import tensor_batches
from trainer.recipes.recipe import Balance, Recipe

_THREADS = 2
_CHUNK = 64


def weigh(
    samples: Sequence[Sample], tensors: NDArray[np.uint8], balance: Balance
) -> tuple[NDArray[np.float32] | None, dict[str, Any]]:
    """Return the weights of the training images, and the shortcut scores of their tensors.

    Args:
        samples: training part of the split.
        tensors: uint8 ``[N, H, W, 3]``, preprocessed as for serving.
        balance: weighting of the recipe.

    Returns:
        float32 ``[N]``, None for ``none``; and the scores ``unweighted`` and ``weighted`` (with weights
        from held-out models, so that the score is not optimistic), the effective share of the images
        under the weights, and a ``sentence`` that summarises them.
    """

    def chunks() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(tensors), _CHUNK):
            yield tensors[start : start + _CHUNK]
            release(tensors)

    return _weigh(samples, _facts(chunks(), len(samples)), balance)


def score_after_preprocessing(samples: Sequence[Sample], recipe: Recipe) -> dict[str, Any]:
    """Return the scores of :func:`weigh` for pictures whose tensors are not cached."""
    return _weigh(samples, _facts(tensor_batches(samples, recipe.preprocessing), len(samples)), recipe.balance)[1]


def _weigh(
    samples: Sequence[Sample], facts: list[Facts], balance: Balance
) -> tuple[NDArray[np.float32] | None, dict[str, Any]]:
    fake, groups = is_fake(samples), [sample.group for sample in samples]
    weights = held_out = None
    if balance == "subsample":
        weights, held_out = by_class(samples), by_source(samples)
    elif balance == "source" or fake.all() or not fake.any():
        weights = held_out = by_source(samples) if balance == "source" else None
    elif balance == "cues":
        weights, held_out = by_cues(facts, fake), by_cues_held_out(facts, fake)
    unweighted = shortcut_score(facts, fake, groups)
    weighted = unweighted if held_out is None else shortcut_score(facts, fake, groups, held_out)
    share = 1.0 if weights is None or held_out is None else effective_share(held_out)
    scores = {
        "unweighted": asdict(unweighted),
        "weighted": asdict(weighted),
        "balance": balance,
        "effective_share": share,
    }
    return weights, {**scores, "sentence": _sentence(unweighted, weighted.score, balance, share)}


def _facts(batches: Iterator[NDArray[np.uint8]], count: int) -> list[Facts]:
    """Return the facts of every tensor; only a few batches are in memory at a time."""
    facts: list[Facts] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch in track(batches, "audit tensors", total=-(-count // _CHUNK)):
            facts += pool.map(facts_of_tensor, batch)
    return facts


def _sentence(unweighted: ShortcutScore, weighted: float | None, balance: Balance, share: float) -> str:
    if unweighted.score is None or weighted is None:
        return "after preprocessing: too few pictures for a shortcut score"
    sentence = f"after preprocessing: shortcut score {unweighted.score:.3f}"
    if balance != "none":
        sentence += f", {weighted:.3f} with weights by {balance} (effective share of the images: {share:.0%})"
    return f"{sentence}; framing alone {unweighted.cues['framing']:.3f}"
