"""Near duplicates: copies of a picture saved at another size or quality."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from trainer.data.dataset import Sample
from trainer.data.picture_facts import HASH_SIDE

# Measured on eleven sources: re-saving at quality 30 to 95 and 0.4 to 1.2 times the size changes at
# most 18 of 256 bits; pictures of different people differ in 24 or more, in most sources in 40 or more.
MAX_DISTANCE: Final = 20
_BITS: Final = HASH_SIDE * HASH_SIDE
_CHUNK: Final = 4096


def near_duplicates(samples: Sequence[Sample], max_distance: int = MAX_DISTANCE) -> NDArray[np.int64]:
    """Return the pairs of samples whose perceptual hashes differ in at most ``max_distance`` bits.

    The search is exact: two hashes within that distance agree on at least one of ``max_distance + 1``
    bands (the pigeonhole principle), so only samples that share a band are compared. Mirrored copies
    are not found.

    Args:
        samples: samples with facts.
        max_distance: 0 to 254 bits of 256.

    Returns:
        int64 ``[pairs, 2]``: row numbers of the samples, ascending within a pair, pairs sorted.
    """
    hashes = np.frombuffer(b"".join(s.facts.phash for s in samples if s.facts), dtype=np.uint8)
    hashes = hashes.reshape(len(samples), _BITS // 8)
    if not len(samples):
        return np.empty((0, 2), dtype=np.int64)
    unique, inverse = np.unique(hashes, axis=0, return_inverse=True)
    codes = np.empty(0, dtype=np.int64)  # a pair of rows encoded as a single number
    for band in _bands(unique, max_distance + 1):
        codes = np.union1d(codes, _close_pairs(unique, band, max_distance))
    # Equal hashes are chained, so that a thousand black pictures give 999 pairs and not half a million.
    order = np.argsort(inverse.reshape(-1), kind="stable")
    same = inverse.reshape(-1)[order][1:] == inverse.reshape(-1)[order][:-1]
    chains = np.stack([order[:-1][same], order[1:][same]], axis=1)
    first = np.zeros(len(unique), dtype=np.int64)
    first[inverse.reshape(-1)[::-1]] = np.arange(len(samples))[::-1]
    pairs = np.sort(np.stack([first[codes // len(unique)], first[codes % len(unique)]], axis=1), axis=1)
    return np.unique(np.concatenate([chains, pairs]), axis=0).astype(np.int64)


def clusters(pairs: NDArray[np.int64], count: int) -> NDArray[np.int32]:
    """Return the cluster number of each of ``count`` samples that ``pairs`` connect: int32 ``[count]``."""
    links = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    numbers: NDArray[np.int32] = connected_components(links, directed=False)[1]
    return numbers


def _bands(hashes: NDArray[np.uint8], count: int) -> list[NDArray[np.int64]]:
    """Split the bits into bands, and return the groups of two or more rows that are equal within a band."""
    bits = np.unpackbits(hashes, axis=1)
    groups = []
    for columns in np.array_split(np.arange(_BITS), count):
        value = np.packbits(bits[:, columns], axis=1)
        _, label = np.unique(value, axis=0, return_inverse=True)
        order = np.argsort(label.reshape(-1), kind="stable")
        cuts = np.flatnonzero(np.diff(label.reshape(-1)[order])) + 1
        groups += [rows for rows in np.split(order, cuts) if len(rows) > 1]
    return groups


def _close_pairs(hashes: NDArray[np.uint8], rows: NDArray[np.int64], max_distance: int) -> NDArray[np.int64]:
    """Return the pairs of rows within ``max_distance``, encoded as ``smaller * len(hashes) + larger``."""
    words = hashes[rows].view(np.uint64)
    pairs = []
    for start in range(0, len(rows), _CHUNK):
        distance = np.zeros((len(rows[start : start + _CHUNK]), len(rows)), dtype=np.int16)
        for column in range(words.shape[1]):
            distance += np.bitwise_count(words[start : start + _CHUNK, None, column] ^ words[None, :, column])
        first, second = np.nonzero(distance <= max_distance)
        ascending = first + start < second
        ends = np.sort(np.stack([rows[first[ascending] + start], rows[second[ascending]]], axis=1), axis=1)
        pairs.append(ends[:, 0] * len(hashes) + ends[:, 1])
    return np.concatenate(pairs)
