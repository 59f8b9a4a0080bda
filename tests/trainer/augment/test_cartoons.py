"""Cartoons: pictures of the asked size that follow their seed, in flat colours."""

import numpy as np
import pytest

from trainer.augment.cartoons import cartoon


@pytest.mark.parametrize("size", [(64, 64), (96, 120)])
def test_cartoon_has_its_size_and_follows_its_seed(size):
    """The same generator state gives the same cartoon, another gives another."""
    first, again, different = (cartoon(size, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.size, first.mode) == (size, "RGB")
    assert first.tobytes() == again.tobytes() != different.tobytes()


def test_cartoons_vary_in_colour_and_are_mostly_flat():
    """Flat areas make up most of a cartoon, and most grounds differ."""
    pictures = [np.asarray(cartoon((128, 128), np.random.default_rng(seed))) for seed in range(20)]
    assert len({tuple(picture[0, 0]) for picture in pictures}) > 10
    for picture in pictures:
        steps = np.abs(np.diff(picture.astype(int), axis=1)).max(axis=2)
        assert (steps <= 2).mean() > 0.5
