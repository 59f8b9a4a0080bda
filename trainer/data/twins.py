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
from PIL import ExifTags, Image, ImageOps, JpegImagePlugin

from service.contract.bounded_read import read_bounded
from service.contract.image.decode import decode
from trainer.common.errors import TrainerError
from trainer.common.files import new_folder
from trainer.common.progress import track
from trainer.data.dataset import SCAN_LIMITS, Dataset, Label, Sample

# Nobody knows how the others were shrunk, so no one kernel may come with one class.
_FILTERS: Final = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_SUBSAMPLING: Final = 2  # 4:2:0, where a greyscale picture has none to copy
_ON_ITS_SIDE: Final = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# Cut to a shape 1 % off, 120 fakes moved by at most 18 bits of their perceptual hash, and near duplicates are found up
# to 20; at 2 % off one in ten moved further, and could have been tested on what its twin had taught.
_SHAPE: Final = 0.01
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class History:
    """What became of a picture on its way into a file.

    Attributes:
        size: width and height as shown, pixels.
        tables: quantisation tables of a JPEG, in the order of its components; empty for a PNG.
        subsampling: of its chroma, Pillow's number.
        grey: whether it holds no colour.
    """

    size: tuple[int, int]
    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    grey: bool


def history(payload: bytes) -> History | None:
    """Read a picture's history from its bytes; None where it is neither JPEG nor PNG."""
    with Image.open(io.BytesIO(payload)) as image:
        size = image.size[::-1] if image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE else image.size
        if image.format == "PNG":
            return History(size, (), 0, image.mode in ("1", "L", "LA"))
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            return None
        sampling = JpegImagePlugin.get_sampling(image)
        tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
        return History(size, tables, sampling if sampling >= 0 else _SUBSAMPLING, image.mode == "L")


def twin(rgb: Image.Image, like: History, resample: Image.Resampling) -> bytes | None:
    """Return the picture's bytes as it would be with that history; None where it would have to be enlarged.

    Args:
        rgb: mode RGB, upright.
        like: the history, of a picture of its shape or nearly.
        resample: kernel that shrinks it; antialiased.
    """
    if rgb.width < like.size[0] or rgb.height < like.size[1]:
        return None
    picture = ImageOps.fit(rgb, like.size, resample)
    picture = picture.convert("L") if like.grey else picture
    buffer = io.BytesIO()
    if like.tables:
        tables = [list(table) for table in like.tables]
        picture.save(buffer, "JPEG", qtables=tables, subsampling=like.subsampling)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_twins(folder: Path, originals: Dataset, like: Dataset, label: Label, most: int | None, seed: int) -> int:
    """Write ``FOLDER/LABEL`` whole or not at all.

    Args:
        folder: to create; a data folder.
        originals: to take pictures of that label from.
        like: its pictures of the other label are whose history they get, each that of one drawn at random among those
            of its shape: cut to another, it would not be known for a near duplicate of its original.
        label: of the twins.
        most: at most so many, drawn at random; default: all.
        seed: of what is drawn.

    Returns:
        how many originals were left out, because no picture to resemble has their shape, or the one drawn is larger.

    Raises:
        TrainerError: the folder exists, there is nothing to make twins of or to resemble, or every one is left out.
    """
    chosen = _drawn([sample for sample in originals.samples if sample.label == label], most, seed)
    if not chosen:
        raise TrainerError(f"no {label} pictures to make twins of")
    histories = _histories([sample for sample in like.samples if sample.label != label])
    if not histories:
        raise TrainerError("no JPEG or PNG of the other class whose history twins could get")
    left_out = 0
    with new_folder(folder) as temporary, ThreadPoolExecutor(_THREADS) as pool:
        (temporary / label).mkdir()
        made = pool.map(lambda sample: _made(sample, histories, seed), chosen)
        for sample, payload in track(zip(chosen, made, strict=True), "twins", total=len(chosen)):
            left_out += payload is None
            if payload is not None:
                suffix = ".png" if payload.startswith(b"\x89PNG") else ".jpg"
                (temporary / label / f"{sample.sha256[:24]}{suffix}").write_bytes(payload)
        if left_out == len(chosen):
            raise TrainerError(f"all {left_out} {label} pictures are smaller or of another shape than the others")
    return left_out


def _made(sample: Sample, histories: Sequence[History], seed: int) -> bytes | None:
    """Return one picture's twin; None where no history has its shape, or the one drawn is larger."""
    rng = np.random.default_rng((seed, int(sample.sha256[:8], 16)))
    rgb = decode(read_bounded(sample.path, SCAN_LIMITS.max_bytes), SCAN_LIMITS, "apply").rgb
    shapes = np.array([like.size[0] / like.size[1] for like in histories])
    alike = np.flatnonzero(np.abs(shapes * rgb.height / rgb.width - 1) <= _SHAPE)
    if not len(alike):
        return None
    return twin(rgb, histories[rng.choice(alike)], _FILTERS[rng.integers(len(_FILTERS))])


def _histories(samples: Sequence[Sample]) -> list[History]:
    ordered = sorted(samples, key=lambda sample: sample.sha256)
    found = (history(read_bounded(sample.path, SCAN_LIMITS.max_bytes)) for sample in ordered)
    return [known for known in found if known]


def _drawn(samples: Sequence[Sample], most: int | None, seed: int) -> list[Sample]:
    ordered = sorted(samples, key=lambda sample: sample.sha256)
    return [ordered[row] for row in np.random.default_rng(seed).permutation(len(ordered))[:most]]
