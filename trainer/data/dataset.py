"""Scan data folders into a list of readable, distinct, labelled pictures with a fingerprint."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from service.contract.bounded_read import read_bounded
from service.contract.image.decode import decode
from service.contract.image.image_errors import ImageError, Limits
from trainer.common.errors import TrainerError
from trainer.common.progress import track
from trainer.data.folders import printable, walk
from trainer.data.picture_facts import Facts, facts_of_file

Label = Literal["real", "fake", "neither"]
LABELS: tuple[Label, Label] = ("real", "fake")  # the classes; ``neither`` occurs in training only
# Training data is not uploaded by strangers, so the limits are generous, but reads are still bounded.
SCAN_LIMITS = Limits(max_bytes=200 * 1024 * 1024, max_pixels=150_000_000)
_DECODE_THREADS = 4
_WINDOW = 256


@dataclass(frozen=True, slots=True)
class Sample:
    """A readable picture.

    Attributes:
        path: path of the file.
        label: ``real`` or ``fake``; ``neither`` for outliers (:mod:`trainer.data.outliers`).
        source: name of the data folder that it comes from.
        sha256: SHA-256 of the file, hexadecimal.
        group: pictures of a group stay on the same side of a split; empty for a picture without a group.
        facts: measured by the scan; None where the sample was read back from a split file.
    """

    path: Path
    label: Label
    source: str
    sha256: str
    group: str = field(default="", compare=False)
    facts: Facts | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that is left out, with the reason.

    ``twin`` is the sample that has the same bytes, under the same or the opposite label.
    """

    path: Path
    label: Label
    source: str
    reason: str
    twin: Sample | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples in a stable order (source, label, path), the files left out, and the folder of each source.

    ``near`` holds the row numbers of near duplicates as pairs; :func:`trainer.data.groups.grouped` fills it.
    """

    samples: tuple[Sample, ...]
    rejected: tuple[Rejected, ...] = field(default=())
    roots: Mapping[str, Path] = field(default_factory=dict)
    near: tuple[tuple[int, int], ...] = field(default=(), compare=False, repr=False)

    def counts(self) -> dict[str, int]:
        """Return the number of images per ``source/label``."""
        return dict(sorted(Counter(f"{s.source}/{s.label}" for s in self.samples).items()))

    def fingerprint(self) -> str:
        """Return the SHA-256 over the source, label and content of every sample; file names do not matter."""
        lines = sorted(f"{s.source}\t{s.label}\t{s.sha256}\n" for s in self.samples)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def scan(
    roots: Sequence[Path], *, keep_duplicates: bool = False, one_class: bool = False, facts: bool = True
) -> Dataset:
    """Read every file under ``ROOT/real`` and ``ROOT/fake``; each root is a source named after its folder.

    A root may hold only one of the two folders, as long as all roots together hold both classes.
    Files that do not decode are left out with the reason. Of exact duplicates the first in order is
    kept. Files with the same bytes under both labels are all left out.

    Args:
        roots: data folders.
        keep_duplicates: keep exact duplicates, as the published splits did.
        one_class: accept data of a single class, for evaluation and audits.
        facts: also measure the facts of each picture, which takes longer than reading it.

    Raises:
        TrainerError: a root is missing or holds neither folder, or a class is empty.
    """
    named = dict(named_roots(roots))
    files = [entry for source, root in named.items() for entry in _files(source, root)]
    dataset = read_dataset(files, named, keep_duplicates=keep_duplicates, facts=facts)
    _check_classes(dataset, roots, one_class)
    return dataset


def read_dataset(
    files: "Sequence[tuple[str, Label, Path] | Rejected]",
    roots: Mapping[str, Path],
    *,
    keep_duplicates: bool = False,
    facts: bool = True,
) -> Dataset:
    """Read files that are listed in a stable order; for the arguments see :func:`scan`."""
    samples: list[Sample] = []
    rejected = [entry for entry in files if isinstance(entry, Rejected)]
    readable = [entry for entry in files if not isinstance(entry, Rejected)]
    for result in track(_read_all(readable, facts), "scan", total=len(readable)):
        (samples if isinstance(result, Sample) else rejected).append(result)  # type: ignore[arg-type]
    if not keep_duplicates:
        samples, duplicates = _without_duplicates(samples)
        rejected += duplicates
    return Dataset(tuple(samples), tuple(rejected), roots)


def named_roots(roots: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield a unique name and the resolved path of each data folder.

    Raises:
        TrainerError: a folder does not exist, or is given twice.
    """
    resolved = [root.resolve() for root in roots]
    for path, root in zip(roots, resolved, strict=True):
        if not root.is_dir():
            raise TrainerError(f"data folder '{path}' does not exist or is not a folder")
        if resolved.count(root) > 1:
            raise TrainerError(f"data folder '{path}' is given twice")
    yield from zip(_names(resolved), resolved, strict=True)


def _names(roots: list[Path]) -> list[str]:
    """Name each root after its last folder, preceded by as many parents as make the names unique."""
    depths = [1] * len(roots)
    while True:
        names = [printable(".".join(root.parts[-depth:])) for root, depth in zip(roots, depths, strict=True)]
        repeated = {name for name, count in Counter(names).items() if count > 1}
        if not repeated:
            return names
        deeper = [
            min(depth + (name in repeated), len(root.parts))
            for name, root, depth in zip(names, roots, depths, strict=True)
        ]
        if deeper == depths:  # no number of parents makes the names differ ("a/b" and "a.b")
            return _numbered(names, roots)
        depths = deeper


def _numbered(names: list[str], roots: list[Path]) -> list[str]:
    """Number repeated names in the order of the paths, so that the order of the arguments does not matter."""
    taken, name_of = set(names), dict(zip(roots, names, strict=True))
    for name in {name for name, count in Counter(names).items() if count > 1}:
        number = 0
        for root in sorted(root for root, present in name_of.items() if present == name):
            while (candidate := f"{name}-{(number := number + 1)}") in taken:
                pass
            taken.add(candidate)
            name_of[root] = candidate
    return [name_of[root] for root in roots]


def _files(source: str, root: Path) -> list["tuple[str, Label, Path] | Rejected"]:
    folders: list[tuple[Label, Path]] = [(label, root / label) for label in LABELS if (root / label).is_dir()]
    if not folders:
        raise TrainerError(f"data folder '{root}' holds neither 'real' nor 'fake'")
    return [entry for label, folder in folders for entry in files_of(source, label, folder)]


def files_of(source: str, label: Label, folder: Path) -> "list[tuple[str, Label, Path] | Rejected]":
    """Return every file under a folder in a stable order; files that cannot be read as :class:`Rejected`."""
    return [
        Rejected(path, label, source, problem) if problem else (source, label, path)
        for path, problem in sorted(walk(folder))
    ]


def sample_bytes(sample: Sample) -> bytes:
    """Return the bytes of a sample, after checking that they have not changed since the scan.

    Raises:
        TrainerError: they have changed.
        OSError: the file cannot be read.
    """
    try:
        payload = read_bounded(sample.path, SCAN_LIMITS.max_bytes)
    except ImageError as error:
        raise TrainerError(f"'{sample.path}': {error}") from None
    if hashlib.sha256(payload).hexdigest() != sample.sha256:
        raise TrainerError(f"'{sample.path}' has changed since it was scanned: its SHA-256 was {sample.sha256}")
    return payload


def read_samples(samples: Iterable[Sample]) -> Iterator[Sample | Rejected]:
    """Read the files of samples again, in order, with their facts."""
    return _read_all(((s.source, s.label, s.path) for s in samples), facts=True)


def _read_all(files: Iterable[tuple[str, Label, Path]], facts: bool) -> Iterator[Sample | Rejected]:
    """Decode in threads, in order, with at most ``_WINDOW`` pictures in flight."""
    remaining = iter(files)
    with ThreadPoolExecutor(_DECODE_THREADS) as pool:
        while window := list(islice(remaining, _WINDOW)):
            yield from pool.map(lambda item: _read(item, facts), window)


def _read(item: tuple[str, Label, Path], facts: bool) -> Sample | Rejected:
    source, label, path = item
    try:
        payload = read_bounded(path, SCAN_LIMITS.max_bytes)
        rgb = decode(payload, SCAN_LIMITS, "apply").rgb
    except ImageError as error:
        return Rejected(path, label, source, f"{error.code}: {error}")
    except OSError as error:
        return Rejected(path, label, source, f"unreadable: {error.strerror}")
    measured = facts_of_file(payload, rgb) if facts else None
    return Sample(path, label, source, hashlib.sha256(payload).hexdigest(), facts=measured)


def _without_duplicates(samples: list[Sample]) -> tuple[list[Sample], list[Rejected]]:
    same: dict[str, list[Sample]] = {}
    for sample in samples:
        same.setdefault(sample.sha256, []).append(sample)
    kept: list[Sample] = []
    rejected: list[Rejected] = []
    for sample in samples:
        first = same[sample.sha256][0]
        contradiction = next((twin for twin in same[sample.sha256] if twin.label != sample.label), None)
        if contradiction is not None:
            reason = "contradictory: the same bytes are labelled real and fake"
            rejected.append(Rejected(sample.path, sample.label, sample.source, reason, contradiction))
        elif first is sample:
            kept.append(sample)
        else:
            reason = f"duplicate of {first.path}"
            rejected.append(Rejected(sample.path, sample.label, sample.source, reason, first))
    return kept, rejected


def _check_classes(dataset: Dataset, roots: Sequence[Path], one_class: bool) -> None:
    by_label = Counter(sample.label for sample in dataset.samples)
    if not dataset.samples:
        left_out = f"; {len(dataset.rejected)} files were left out" if dataset.rejected else ""
        raise TrainerError(f"no readable images under {', '.join(map(str, roots))}{left_out}")
    for label in LABELS:
        if not by_label[label] and not one_class:
            raise TrainerError(
                f"no readable {label} images under {', '.join(map(str, roots))}: "
                f"a detector needs both classes ({by_label.total()} images found, all of the other class)"
            )


def is_fake(samples: Sequence[Sample]) -> NDArray[np.bool_]:
    """Return which samples are fake: bool ``[N]``."""
    return np.array([sample.label == "fake" for sample in samples], dtype=bool)
