"""Augmented pictures of a batch, made in this process or in workers (:mod:`trainer.training.workers`).

When they are sent to another process, memory-mapped tensors are replaced by the names of their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.faces.face import Face
from trainer.augment.reencode import Augment
from trainer.data.memory_map import received, release, to_send

Tensors = NDArray[np.uint8]
# Replaces the view number in the seed, so that the choice of drawings is independent of the augmentation.
_DRAWING_STREAM = 1 << 16


# No slots: before Python 3.11.4, pickling a frozen dataclass with slots bypasses __getstate__ (gh-104035).
@dataclass(frozen=True)
class AugmentedPictures:
    """Cached tensors and their augmentation; the same ``(seed, epoch, row, view)`` always gives the same picture.

    Attributes:
        served: uint8 ``[N, H, W, 3]``, preprocessed as served.
        larger: uint8 ``[N, H', W', 3]`` of the same pictures, for ``augment`` to crop from; None: ``served``.
        faces: face of each picture, in pixels of ``larger``.
        augment: augmentation of each picture; None: none.
        views: consecutive copies of each picture in a batch, each augmented separately.
        seed: seed of the augmentation.
        drawings: share of the pictures that become drawings in all of their views, redrawn every epoch.
    """

    served: Tensors
    larger: Tensors | None = None
    faces: Sequence[Face | None] | None = None
    augment: Augment | None = None
    views: int = 1
    seed: int = 0
    drawings: float = 0.0

    def batch(self, epoch: int, rows: NDArray[np.int64]) -> Tensors:
        """Return uint8 ``[len(rows) * views, H, W, 3]``."""
        pictures = np.stack([self._picture(epoch, row, view) for row in rows for view in range(self.views)])
        release(self.served, self._larger)
        return pictures

    def drawn(self, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which rows are drawings in an epoch, bool ``[len(rows)]``."""
        return np.array([self._is_drawn(epoch, row) for row in rows], dtype=np.bool_)

    @property
    def _larger(self) -> Tensors:
        return self.served if self.larger is None else self.larger

    def _is_drawn(self, epoch: int, row: np.int64) -> bool:
        if not self.drawings or self.augment is None:
            return False
        return np.random.default_rng((self.seed, epoch, int(row), _DRAWING_STREAM)).random() < self.drawings

    def _picture(self, epoch: int, row: np.int64, view: int) -> Tensors:
        if self.augment is None:
            return np.asarray(self.served[row])
        rng = np.random.default_rng((self.seed, epoch, int(row), *([view] if view else [])))
        face = self.faces[int(row)] if self.faces else None
        return self.augment(self._larger[row], self.served[row], rng, face, self._is_drawn(epoch, row))

    def __getstate__(self) -> list[Any]:
        """Return the fields, with memory-mapped files replaced by their names."""
        return [to_send(getattr(self, field.name)) for field in fields(self)]

    def __setstate__(self, state: list[Any]) -> None:
        """Restore the fields and map the files again."""
        for field, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, field.name, received(value))
