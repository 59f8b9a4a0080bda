"""Pictures of a batch, augmented; :mod:`trainer.training.workers` has it done in other processes.

Sent there, they are the names of the files that the tensors are mapped from.
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
# Beside the views' numbers, so that which pictures are drawn is decided apart from how they are augmented.
_DRAWN = 1 << 16


# Without slots: before Python 3.11.4 a frozen class with slots pickles its fields past __getstate__ (gh-104035).
@dataclass(frozen=True)
class Pictures:
    """Cached tensors and what is done to them; the same ``(seed, epoch, row, view)`` gives the same picture anywhere.

    Attributes:
        served: uint8 ``[N, H, W, 3]``, as served.
        larger: uint8 ``[N, H', W', 3]`` of the same pictures, for ``augment`` to crop from.
        faces: of each picture, in pixels of ``larger``.
        augment: what to do to each picture; None gives it as served.
        views: how often each picture stands in a batch, one after the other and augmented anew.
        seed: of the augmentation.
        drawings: share of the pictures that are made drawings of, another in each epoch, in all of their views.
    """

    served: Tensors
    larger: Tensors
    faces: Sequence[Face | None] | None = None
    augment: Augment | None = None
    views: int = 1
    seed: int = 0
    drawings: float = 0.0

    def batch(self, epoch: int, rows: NDArray[np.int64]) -> Tensors:
        """Return uint8 ``[len(rows) * views, H, W, 3]``."""
        made = np.stack([self._picture(epoch, row, view) for row in rows for view in range(self.views)])
        release(self.served, self.larger)
        return made

    def drawn(self, epoch: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the rows are drawn in an epoch, bool ``[len(rows)]``."""
        return np.array([self._is_drawn(epoch, row) for row in rows], dtype=np.bool_)

    def _is_drawn(self, epoch: int, row: np.int64) -> bool:
        if not self.drawings or self.augment is None:
            return False
        return np.random.default_rng((self.seed, epoch, int(row), _DRAWN)).random() < self.drawings

    def _picture(self, epoch: int, row: np.int64, view: int) -> Tensors:
        if self.augment is None:
            return np.asarray(self.served[row])
        rng = np.random.default_rng((self.seed, epoch, int(row), *([view] if view else [])))
        face = self.faces[row] if self.faces else None
        return self.augment(self.larger[row], self.served[row], rng, face, self._is_drawn(epoch, row))

    def __getstate__(self) -> list[Any]:
        """Send the names of mapped files in place of what they hold."""
        return [to_send(getattr(self, field.name)) for field in fields(self)]

    def __setstate__(self, state: list[Any]) -> None:
        """Map the files again."""
        for field, value in zip(fields(self), state, strict=True):
            object.__setattr__(self, field.name, received(value))
