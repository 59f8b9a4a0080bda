"""Leftover: what the cheat score still sees once pictures have become training tensors, and its remedy."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.cheat import MOST, cheat
from trainer.dataset import Sample, is_fake
from trainer.facts import Facts, facts_of_tensor
from trainer.progress import track
from trainer.recipes import Balance, Recipe
from trainer.tensors import release, tensor_batches
from trainer.weights import by_cues, by_source, effective_share

_THREADS = 2
_CHUNK = 256


def weigh(
    samples: Sequence[Sample], tensors: NDArray[np.uint8], balance: Balance
) -> tuple[NDArray[np.float32] | None, dict[str, Any]]:
    """Return the weights of training images, and the cheat score of what they have become.

    Args:
        samples: the training part.
        tensors: uint8 ``[N, H, W, 3]``, as served.
        balance: the recipe's.

    Returns:
        float32 ``[N]``, None for ``none``; and the scores ``unweighted`` and ``weighted`` with the
        share of images that the weights leave in effect, and a ``sentence`` that says so.
    """
    facts, fake = _facts(tensors, whole=balance == "cues"), is_fake(samples)
    weights: NDArray[np.float32] | None = None
    if balance == "source":
        weights = by_source(samples)
    elif balance == "cues":
        weights = by_cues([fact for fact in facts if fact], fake)
    seen = [row for row, fact in enumerate(facts) if fact]
    chosen = [fact for fact in facts if fact]
    groups = [samples[row].group for row in seen]
    plain = cheat(chosen, fake[seen], groups)
    after = plain if weights is None else cheat(chosen, fake[seen], groups, weights[seen])
    share = 1.0 if weights is None else effective_share(weights)
    found = {"unweighted": asdict(plain), "weighted": asdict(after), "balance": balance, "effective_share": share}
    return weights, {**found, "sentence": _sentence(plain.score, after.score, balance, share)}


def preprocessed(samples: Sequence[Sample], recipe: Recipe) -> dict[str, Any]:
    """Return the scores of :func:`weigh` for pictures that are not cached."""
    tensors = np.concatenate(list(tensor_batches(samples, recipe.preprocessing)))
    return weigh(samples, tensors, recipe.balance)[1]


def _facts(tensors: NDArray[np.uint8], *, whole: bool) -> list[Facts | None]:
    """Facts of every tensor, or of a seeded sample that is enough for a score."""
    rows: Iterable[int] = range(len(tensors))
    if not whole and len(tensors) > MOST:
        rows = sorted(np.random.default_rng(0).permutation(len(tensors))[:MOST].tolist())
    found: list[Facts | None] = [None] * len(tensors)
    order = list(rows)
    chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as pool:
        for chunk in track(chunks, "audit tensors", total=len(chunks)):
            for row, fact in zip(chunk, pool.map(lambda row: facts_of_tensor(tensors[row]), chunk), strict=True):
                found[row] = fact
            release(tensors)
    return found


def _sentence(before: float | None, after: float | None, balance: Balance, share: float) -> str:
    if before is None or after is None:
        return "after preprocessing: too few pictures for a cheat score"
    said = f"after preprocessing: cheat score {before:.3f}"
    if balance == "none":
        return said
    return f"{said}, {after:.3f} with weights by {balance} ({share:.0%} of the images in effect)"
