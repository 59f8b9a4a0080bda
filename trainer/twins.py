"""Twins: pictures of one class put through the byte history of another source's pictures.

Where all pictures of a size, format and compression are real, a network learns those instead of faces. A twin is a fake
shrunk and saved exactly as such a picture was, so that the history no longer tells the classes apart.
"""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin

from service.contract.image import decode
from trainer.dataset import SCAN_LIMITS, Dataset, Label, Sample
from trainer.errors import TrainerError
from trainer.files import new_folder, read_bounded
from trainer.progress import track

# Nobody knows how the others were shrunk, so no one kernel may come with one class.
_FILTERS: Final = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_SUBSAMPLING: Final = 2  # 4:2:0, where a greyscale picture has none to copy
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class History:
    """What became of a picture on its way into a file.

    Attributes:
        size: width and height, pixels.
        tables: quantisation tables of a JPEG, as Pillow gives them; None for what is no JPEG.
        subsampling: of its chroma, Pillow's number.
    """

    size: tuple[int, int]
    tables: dict[int, list[int]] | None
    subsampling: int


def history(payload: bytes) -> History:
    """Read a picture's history from its bytes."""
    with Image.open(io.BytesIO(payload)) as image:
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            return History(image.size, None, 0)
        sampling = JpegImagePlugin.get_sampling(image)
        tables = {number: list(table) for number, table in image.quantization.items()}
        return History(image.size, tables, sampling if sampling >= 0 else _SUBSAMPLING)


def twin(rgb: Image.Image, like: History, resample: Image.Resampling) -> bytes | None:
    """Return the picture's bytes as it would be with that history; None where it would have to be enlarged.

    Args:
        rgb: mode RGB, upright; its middle is taken where its shape is another.
        like: the history.
        resample: kernel that shrinks it; antialiased.
    """
    if rgb.width < like.size[0] or rgb.height < like.size[1]:
        return None
    picture = ImageOps.fit(rgb, like.size, resample)
    buffer = io.BytesIO()
    if like.tables is None:
        picture.save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", qtables=like.tables, subsampling=like.subsampling)
    return buffer.getvalue()


def write_twins(folder: Path, originals: Dataset, like: Dataset, label: Label, most: int | None, seed: int) -> int:
    """Write ``FOLDER/LABEL`` whole or not at all.

    Args:
        folder: to create; a data folder.
        originals: to take pictures of that label from.
        like: whose history they get, each that of a picture drawn at random.
        label: of the twins.
        most: at most so many, drawn at random; default: all.
        seed: of what is drawn.

    Returns:
        how many originals were smaller than what they were to become, and were left out.

    Raises:
        TrainerError: the folder exists, there is no picture of that label, or every one is too small.
    """
    chosen = _drawn([sample for sample in originals.samples if sample.label == label], most, seed)
    if not chosen:
        raise TrainerError(f"no {label} pictures to make twins of")
    models = sorted(like.samples, key=lambda sample: sample.sha256)

    def made(sample: Sample) -> bytes | None:
        rng = np.random.default_rng((seed, int(sample.sha256[:8], 16)))
        payload = read_bounded(models[rng.integers(len(models))].path, SCAN_LIMITS.max_bytes)
        rgb = decode(read_bounded(sample.path, SCAN_LIMITS.max_bytes), SCAN_LIMITS, "apply").rgb
        return twin(rgb, history(payload), _FILTERS[rng.integers(len(_FILTERS))])

    small = 0
    with new_folder(folder) as temporary, ThreadPoolExecutor(_THREADS) as pool:
        (temporary / label).mkdir()
        for sample, payload in track(zip(chosen, pool.map(made, chosen), strict=True), "twins", total=len(chosen)):
            small += payload is None
            if payload is not None:
                suffix = ".png" if payload.startswith(b"\x89PNG") else ".jpg"
                (temporary / label / f"{sample.sha256[:24]}{suffix}").write_bytes(payload)
        if small == len(chosen):
            raise TrainerError(f"all {small} {label} pictures are smaller than those that they should resemble")
    return small


def _drawn(samples: Sequence[Sample], most: int | None, seed: int) -> list[Sample]:
    ordered = sorted(samples, key=lambda sample: sample.sha256)
    return [ordered[row] for row in np.random.default_rng(seed).permutation(len(ordered))[:most]]
