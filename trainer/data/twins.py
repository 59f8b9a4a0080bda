"""Twins: pictures of one class, resized and saved as the pictures of the other class were.

Where all pictures of a size, format and compression are real, a network learns these properties instead of faces. A
twin is a fake that is shrunk and saved exactly as such a picture was, so that they no longer separate the classes.
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

# The kernel that shrank the other class is unknown; a single kernel for all twins would itself mark their class.
_FILTERS: Final = (
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
_DEFAULT_SUBSAMPLING: Final = 2  # 4:2:0; a greyscale picture has none to copy
_ROTATED_ORIENTATIONS: Final = (5, 6, 7, 8)  # EXIF orientations that swap width and height
# Cropping to an aspect ratio 1 % off changed at most 18 bits of the perceptual hash of 120 fakes, and near duplicates
# are found up to 20 bits. At 2 % one in ten changed by more, so the twin of a training picture could be tested on.
_MAX_ASPECT_DEVIATION: Final = 0.01
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Encoding:
    """Size and encoding parameters of a picture file.

    Attributes:
        size: width and height as displayed, pixels.
        tables: JPEG quantisation tables in the order of the components; empty for a PNG.
        subsampling: chroma subsampling as Pillow numbers it.
        grey: whether the file is greyscale.
    """

    size: tuple[int, int]
    tables: tuple[tuple[int, ...], ...]
    subsampling: int
    grey: bool


def encoding(payload: bytes) -> Encoding | None:
    """Read the size and encoding of a picture from its bytes; None if it is neither JPEG nor PNG."""
    with Image.open(io.BytesIO(payload)) as image:
        size = (
            image.size[::-1] if image.getexif().get(ExifTags.Base.Orientation) in _ROTATED_ORIENTATIONS else image.size
        )
        if image.format == "PNG":
            return Encoding(size, (), 0, image.mode in ("1", "L", "LA"))
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            return None
        sampling = JpegImagePlugin.get_sampling(image)
        tables = tuple(tuple(table) for _, table in sorted(image.quantization.items()))
        return Encoding(size, tables, sampling if sampling >= 0 else _DEFAULT_SUBSAMPLING, image.mode == "L")


def twin(rgb: Image.Image, target: Encoding, resample: Image.Resampling) -> bytes | None:
    """Return the bytes of a picture saved with a given encoding; None where it would have to be enlarged.

    Args:
        rgb: picture, mode RGB, upright.
        target: encoding of a picture of about the same aspect ratio.
        resample: kernel for shrinking, applied with antialiasing.
    """
    if rgb.width < target.size[0] or rgb.height < target.size[1]:
        return None
    picture = ImageOps.fit(rgb, target.size, resample)
    picture = picture.convert("L") if target.grey else picture
    buffer = io.BytesIO()
    if target.tables:
        tables = [list(table) for table in target.tables]
        picture.save(buffer, "JPEG", qtables=tables, subsampling=target.subsampling)
    else:
        picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_twins(
    folder: Path, originals: Dataset, references: Dataset, label: Label, limit: int | None, seed: int
) -> int:
    """Write the twins to ``FOLDER/LABEL``, either all of them or nothing.

    Args:
        folder: data folder to create.
        originals: dataset whose pictures with ``label`` get twins.
        references: dataset whose pictures of the other label provide the encodings. Each twin gets the encoding of
            a reference drawn at random among those of its aspect ratio; cropped to another ratio, it would not be
            recognised as a near duplicate of its original.
        label: label of the twins.
        limit: maximum number of twins, drawn at random; None: no limit.
        seed: seed of the random choices.

    Returns:
        Number of originals left out, because no reference has their aspect ratio, or the reference drawn is larger.

    Raises:
        TrainerError: the folder exists, there are no originals or no references, or every original is left out.
    """
    chosen = _random_subset([sample for sample in originals.samples if sample.label == label], limit, seed)
    if not chosen:
        raise TrainerError(f"no {label} pictures to make twins of: check the data folders and --label")
    encodings = _encodings([sample for sample in references.samples if sample.label != label])
    if not encodings:
        raise TrainerError("the folders given by --like hold no JPEG or PNG of the other class")
    left_out = 0
    with new_folder(folder) as temporary, ThreadPoolExecutor(_THREADS) as pool:
        (temporary / label).mkdir()
        payloads = pool.map(lambda sample: _make_twin(sample, encodings, seed), chosen)
        for sample, payload in track(zip(chosen, payloads, strict=True), "twins", total=len(chosen)):
            left_out += payload is None
            if payload is not None:
                suffix = ".png" if payload.startswith(b"\x89PNG") else ".jpg"
                (temporary / label / f"{sample.sha256[:24]}{suffix}").write_bytes(payload)
        if left_out == len(chosen):
            raise TrainerError(f"all {left_out} {label} pictures are smaller or of another shape than those in --like")
    return left_out


def _make_twin(sample: Sample, encodings: Sequence[Encoding], seed: int) -> bytes | None:
    """Return the twin of a sample; None where no reference has its aspect ratio, or the one drawn is larger."""
    rng = np.random.default_rng((seed, int(sample.sha256[:8], 16)))
    rgb = decode(read_bounded(sample.path, SCAN_LIMITS.max_bytes), SCAN_LIMITS, "apply").rgb
    aspects = np.array([candidate.size[0] / candidate.size[1] for candidate in encodings])
    alike = np.flatnonzero(np.abs(aspects * rgb.height / rgb.width - 1) <= _MAX_ASPECT_DEVIATION)
    if not len(alike):
        return None
    return twin(rgb, encodings[rng.choice(alike)], _FILTERS[rng.integers(len(_FILTERS))])


def _encodings(samples: Sequence[Sample]) -> list[Encoding]:
    ordered = sorted(samples, key=lambda sample: sample.sha256)
    encodings = (encoding(read_bounded(sample.path, SCAN_LIMITS.max_bytes)) for sample in ordered)
    return [known for known in encodings if known]


def _random_subset(samples: Sequence[Sample], limit: int | None, seed: int) -> list[Sample]:
    ordered = sorted(samples, key=lambda sample: sample.sha256)
    return [ordered[row] for row in np.random.default_rng(seed).permutation(len(ordered))[:limit]]
