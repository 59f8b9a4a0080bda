"""Model input tensors of many files, decoded in threads and cached as a memory map."""

import hashlib
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import metadata
from itertools import islice
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from service.contract.bounded_read import read_bounded
from service.contract.faces import yunet
from service.contract.faces.face import Face
from service.contract.faces.framing import FRAMING_VERSION, frame
from service.contract.image.decode import DECODE_VERSION, decode
from service.contract.image.image_errors import ImageError
from service.contract.image.resize import to_tensor
from service.contract.spec import Preprocessing
from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, remove_partial
from trainer.common.progress import track
from trainer.data.dataset import SCAN_LIMITS, Sample, sample_bytes
from trainer.data.memory_map import release

_DECODE_THREADS = 4
_CHUNK = 64


def load_tensor(path: Path, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return a file as uint8 ``[H, W, 3]``, using the code that serves requests.

    Args:
        path: path of the picture.
        preprocessing: preprocessing of the model.

    Raises:
        ImageError: the picture is refused.
        OSError: the file cannot be read.
        FinderError: the framing is ``face``, and the face finder does not load.
    """
    return _tensor(read_bounded(path, SCAN_LIMITS.max_bytes), preprocessing)


def load_sample(sample: Sample, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return a sample as :func:`load_tensor` does, after checking that its file has not changed since the scan.

    Raises:
        TrainerError: the file has changed, or cannot be decoded.
        OSError: the file cannot be read.
        FinderError: the framing is ``face``, and the face finder does not load.
    """
    payload = sample_bytes(sample)
    try:
        return _tensor(payload, preprocessing, _scanned_faces(sample, preprocessing))
    except ImageError as error:
        raise TrainerError(f"'{sample.path}': {error}") from None


def _tensor(payload: bytes, preprocessing: Preprocessing, faces: tuple[Face, ...] | None = None) -> NDArray[np.uint8]:
    picture = decode(payload, SCAN_LIMITS, preprocessing.exif_policy)
    return to_tensor(picture, preprocessing, frame(picture.rgb, preprocessing, faces))


def tensor_batches(
    samples: Sequence[Sample], preprocessing: Preprocessing, batch: int = _CHUNK
) -> Iterator[NDArray[np.uint8]]:
    """Yield uint8 ``[n, H, W, 3]`` in the order of the samples, at most ``batch`` at a time; decode in threads."""
    remaining = iter(samples)
    with ThreadPoolExecutor(_DECODE_THREADS) as pool:
        while chunk := list(islice(remaining, batch)):
            yield np.stack(list(pool.map(lambda sample: load_sample(sample, preprocessing), chunk)))


def _scanned_faces(sample: Sample, preprocessing: Preprocessing) -> tuple[Face, ...] | None:
    """Return the face that the scan found in the upright picture, so that the face finder runs once per picture."""
    if sample.facts is None or preprocessing.exif_policy != "apply":
        return None
    return (sample.facts.face,) if sample.facts.face else ()


def cache_tensors(
    samples: Sequence[Sample], preprocessing: Preprocessing, folder: Path, description: str
) -> NDArray[np.uint8]:
    """Return all samples as a memory-mapped uint8 ``[N, H, W, 3]``; reuse the cached file where it is valid.

    The file name holds a hash of the preprocessing, of the versions of the code and libraries that perform it, and
    of the content of every sample in order, so a cache of other data is never used by mistake. The SHA-256 of the
    tensors is stored beside the file, so that a damaged cache is rebuilt.
    """
    versions = [DECODE_VERSION, PIL.__version__, metadata.version("simplejpeg")]
    if preprocessing.framing == "face":
        versions += [FRAMING_VERSION, yunet.SHA256]
    key = hashlib.sha256(repr((sorted(asdict(preprocessing).items()), versions)).encode())
    for sample in samples:
        key.update(sample.sha256.encode())
    path = folder / f"tensors-{key.hexdigest()[:32]}.npy"
    shape = (len(samples), preprocessing.input_height, preprocessing.input_width, 3)
    digest_path = path.with_suffix(".sha256")
    if not _is_valid_cache(path, shape, digest_path):
        folder.mkdir(parents=True, exist_ok=True)
        remove_partial(folder, ".partial-*-tensors-*")
        digest = hashlib.sha256()
        with atomic_path(path) as temporary:
            tensors = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
            _reserve_disk_space(temporary)
            offset = 0
            batches = tensor_batches(samples, preprocessing)
            for batch in track(batches, f"decode {description}", total=math.ceil(len(samples) / _CHUNK)):
                tensors[offset : offset + len(batch)] = batch
                digest.update(batch.data)
                offset += len(batch)
                release(tensors)
            tensors.flush()
            del tensors
        with atomic_path(digest_path) as temporary:
            temporary.write_text(digest.hexdigest(), "ascii")
    cached: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    return cached


def _is_valid_cache(path: Path, shape: tuple[int, ...], digest_path: Path) -> bool:
    """Return whether a cached file exists, has the expected shape, and matches its stored SHA-256."""
    try:
        tensors = np.load(path, mmap_mode="r")
        expected = digest_path.read_text("ascii")
    except (OSError, ValueError, EOFError):
        return False
    if tensors.shape != shape or tensors.dtype != np.uint8:
        return False
    digest = hashlib.sha256()
    for start in range(0, len(tensors), _CHUNK):
        digest.update(np.ascontiguousarray(tensors[start : start + _CHUNK]).data)
        release(tensors)
    return digest.hexdigest() == expected


def _reserve_disk_space(path: Path) -> None:
    """Allocate the disk space in advance: writing to a memory map on a full disk raises SIGBUS instead of an error."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
