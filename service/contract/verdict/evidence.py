"""Evidence: which parts of what a model looked at spoke for fake, and which for real.

A model whose logits are the mean of a map gives that map (class activation maps, Zhou et al. 2016, arXiv:1512.04150):
exact, for nothing. Of any other the parts are covered one after the other, and what that changes is taken for what they
said (occlusion, Zeiler and Fergus 2014, arXiv:1311.2901).
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from service.contract.box import Box
from service.contract.spec import ModelSpec
from service.contract.verdict.calibration import log_odds

Method = Literal["map", "occlusion"]
# Rows and columns of what is covered one after the other.
CELLS: Final = 8
# Of the blur that covers, as a share of the input's longer side: no part keeps what a detector reads.
_BLUR: Final = 1 / 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the parts of one look said.

    Attributes:
        method: how it was found out.
        box: what was looked at: left, top, right and bottom, pixels of the picture, not rounded.
        values: float64 ``[rows, columns]``, above 0 for fake. By ``map`` their mean is the log-odds of P(fake); by
            ``occlusion`` each is by how much the log-odds fall once that part is covered.
    """

    method: Method
    box: Box
    values: NDArray[np.float64]


def from_map(evidence: NDArray[np.floating], spec: ModelSpec, box: Box) -> Evidence:
    """Return the evidence of a softmax model that gives its map.

    Args:
        evidence: ``[h, w, 2]``, whose mean over h and w is the logits.
        spec: of the model.
        box: that was looked at.
    """
    scaled = np.asarray(evidence, np.float64) / spec.temperature
    return Evidence("map", box, scaled[..., spec.fake_index] - scaled[..., 1 - spec.fake_index])


def occluded(tensor: NDArray[np.uint8], cells: int = CELLS) -> NDArray[np.uint8]:
    """Return a picture as it is, and with one part after the other covered.

    Args:
        tensor: uint8 ``[H, W, 3]`` RGB.
        cells: rows and columns of parts.

    Returns:
        uint8 ``[1 + cells * cells, H, W, 3]``.
    """
    covered = blurred(tensor)
    variants = np.repeat(tensor[None], 1 + cells * cells, axis=0)
    for number, (rows, columns) in enumerate(_parts(tensor.shape[0], tensor.shape[1], cells, cells), 1):
        variants[number, rows, columns] = covered[rows, columns]
    return variants


def from_occlusion(logits: NDArray[np.floating], spec: ModelSpec, box: Box) -> Evidence:
    """Return the evidence of any model.

    Args:
        logits: ``[1 + n * n, 2]``, of what :func:`occluded` returns.
        spec: of the model.
        box: that was looked at.
    """
    odds = log_odds(logits, spec.output_kind, spec.fake_index, spec.temperature)
    cells = round((len(odds) - 1) ** 0.5)
    return Evidence("occlusion", box, (odds[0] - odds[1:]).reshape(cells, cells))


def blurred(tensor: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of which only the coarse colours are left, uint8 ``[H, W, 3]``."""
    radius = _BLUR * max(tensor.shape[:2])
    return np.asarray(Image.fromarray(tensor).filter(ImageFilter.GaussianBlur(radius)))


def _parts(height: int, width: int, rows: int, columns: int) -> list[tuple[slice, slice]]:
    down, across = np.linspace(0, height, rows + 1).round(), np.linspace(0, width, columns + 1).round()
    return [
        (slice(int(down[row]), int(down[row + 1])), slice(int(across[column]), int(across[column + 1])))
        for row in range(rows)
        for column in range(columns)
    ]
