"""Evidence: which regions of a look support the verdict fake, and which real.

If a model's logits are the mean of a map, that map is the evidence, exact and at no extra cost (class activation maps,
Zhou et al. 2016, arXiv:1512.04150). For any other model the regions are covered one at a time, and the change of the
log-odds is the evidence (occlusion, Zeiler and Fergus 2014, arXiv:1311.2901).
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from service.contract.spec import Box, ModelSpec
from service.contract.verdict.calibration import log_odds

Method = Literal["map", "occlusion"]
# Rows and columns of the grid of covered regions.
CELLS: Final = 8
# Radius of the covering blur, as a share of the input's longer side: removes the detail that a detector uses.
_BLUR_RADIUS: Final = 1 / 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """Evidence of the regions of one look.

    Attributes:
        method: ``map`` or ``occlusion``.
        box: box of the look: left, top, right, bottom, pixels of the picture, not rounded.
        values: float64 ``[rows, columns]``, above 0 for fake. With ``map`` their mean is the log-odds of P(fake); with
            ``occlusion`` a value is the fall of the log-odds when its region is covered.
    """

    method: Method
    box: Box
    values: NDArray[np.float64]


def from_map(evidence: NDArray[np.floating], spec: ModelSpec, box: Box) -> Evidence:
    """Return the evidence of a softmax model that outputs a map.

    Args:
        evidence: ``[h, w, 2]``; its mean over h and w is the logits.
        spec: the model's spec.
        box: box of the look.
    """
    scaled = np.asarray(evidence, np.float64) / spec.temperature
    return Evidence("map", box, scaled[..., spec.fake_index] - scaled[..., 1 - spec.fake_index])


def occluded(tensor: NDArray[np.uint8], cells: int = CELLS) -> NDArray[np.uint8]:
    """Return a picture unchanged, followed by copies with one region covered.

    Args:
        tensor: uint8 ``[H, W, 3]`` RGB.
        cells: rows and columns of the grid of regions.

    Returns:
        uint8 ``[1 + cells * cells, H, W, 3]``.
    """
    blurred_tensor = blurred(tensor)
    variants = np.repeat(tensor[None], 1 + cells * cells, axis=0)
    for index, (rows, columns) in enumerate(_grid(tensor.shape[0], tensor.shape[1], cells, cells), 1):
        variants[index, rows, columns] = blurred_tensor[rows, columns]
    return variants


def from_occlusion(logits: NDArray[np.floating], spec: ModelSpec, box: Box) -> Evidence:
    """Return the evidence of any model by occlusion.

    Args:
        logits: ``[1 + n * n, 2]``, for the pictures of :func:`occluded`.
        spec: the model's spec.
        box: box of the look.
    """
    odds = log_odds(logits, spec.output_kind, spec.fake_index, spec.temperature)
    cells = round((len(odds) - 1) ** 0.5)
    return Evidence("occlusion", box, (odds[0] - odds[1:]).reshape(cells, cells))


def blurred(tensor: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture blurred to its coarse colours, uint8 ``[H, W, 3]``."""
    radius = _BLUR_RADIUS * max(tensor.shape[:2])
    return np.asarray(Image.fromarray(tensor).filter(ImageFilter.GaussianBlur(radius)))


def _grid(height: int, width: int, rows: int, columns: int) -> list[tuple[slice, slice]]:
    row_edges, column_edges = np.linspace(0, height, rows + 1).round(), np.linspace(0, width, columns + 1).round()
    return [
        (
            slice(int(row_edges[row]), int(row_edges[row + 1])),
            slice(int(column_edges[column]), int(column_edges[column + 1])),
        )
        for row in range(rows)
        for column in range(columns)
    ]
