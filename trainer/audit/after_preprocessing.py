"""Leftover: what the cheat score still sees once pictures have become training tensors, and its remedy."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.audit.shortcut_score import Cheat, cheat
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
    """Return the weights of training images, and the cheat score of what they have become.

    Args:
        samples: the training part.
        tensors: uint8 ``[N, H, W, 3]``, as served.
        balance: the recipe's.

    Returns:
        float32 ``[N]``, None for ``none``; and the scores ``unweighted`` and ``weighted`` (by
        weights of held-out models, so that the score cannot flatter itself) with the share of
        images that the weights leave in effect, and a ``sentence`` that says so.
    """

    def parts() -> Iterator[NDArray[np.uint8]]:
        for start in range(0, len(tensors), _CHUNK):
            yield tensors[start : start + _CHUNK]
            release(tensors)

    return _weigh(samples, _facts(parts(), len(samples)), balance)


def preprocessed(samples: Sequence[Sample], recipe: Recipe) -> dict[str, Any]:
    """Return the scores of :func:`weigh` for pictures that are not cached."""
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
    plain = cheat(facts, fake, groups)
    after = plain if held_out is None else cheat(facts, fake, groups, held_out)
    share = 1.0 if weights is None or held_out is None else effective_share(held_out)
    found = {"unweighted": asdict(plain), "weighted": asdict(after), "balance": balance, "effective_share": share}
    return weights, {**found, "sentence": _sentence(plain, after.score, balance, share)}


def _facts(batches: Iterator[NDArray[np.uint8]], count: int) -> list[Facts]:
    """Facts of every tensor, few of which are in memory at a time."""
    found: list[Facts] = []
    with ThreadPoolExecutor(_THREADS) as pool:
        for batch in track(batches, "audit tensors", total=-(-count // _CHUNK)):
            found += pool.map(facts_of_tensor, batch)
    return found


def _sentence(before: Cheat, after: float | None, balance: Balance, share: float) -> str:
    if before.score is None or after is None:
        return "after preprocessing: too few pictures for a cheat score"
    said = f"after preprocessing: cheat score {before.score:.3f}"
    if balance != "none":
        said += f", {after:.3f} with weights by {balance} ({share:.0%} of the images in effect)"
    return f"{said}; framing alone {before.cues['framing']:.3f}"
