"""Splits: which picture is learned from, chosen by, calibrated on and tested on."""

import csv
import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path
from trainer.common.run import Run
from trainer.data.dataset import LABELS, Dataset, Label, Sample
from trainer.recipes.run_config import SplitRule, read_run_config

Part = Literal["train", "validation", "calibration", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
_UP_TO: dict[Part, int] = {"train": 70, "validation": 80, "calibration": 90, "test": 100}  # cumulative per cent
PUBLISHED_TEST_SHARE = 0.2
HOLDOUT = "holdout"
OUTLIER = "outlier"
_LEFT_OUT = "left-out"


@dataclass(frozen=True, slots=True)
class Split:
    """Samples by part. ``as-published`` has one held-out part for both validation and test.

    ``holdout`` is what stands in no part: whole sources, scored once at the end. ``outliers`` are neither real nor
    fake, and learned from beside ``train`` (:mod:`trainer.data.outliers`).
    """

    rule: SplitRule
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    calibration: tuple[Sample, ...]
    test: tuple[Sample, ...]
    holdout: tuple[Sample, ...] = ()
    outliers: tuple[Sample, ...] = ()

    def part(self, name: Part) -> tuple[Sample, ...]:
        """Return one part by name."""
        samples: tuple[Sample, ...] = getattr(self, name)
        return samples


def split(dataset: Dataset, rule: SplitRule, seed: int, holdout: Sequence[str] = ()) -> Split:
    """Split a dataset, seeded.

    ``stratified``: 70/10/10/10 within every source and class, groups kept whole, so that every part
    holds each in the same proportion. ``as-published``: one shuffled 80/20 cut that knows no
    groups, whose 20 % both chooses the epoch and reports the result, as the published systems did.

    Args:
        dataset: with its groups set, see :mod:`trainer.data.groups`.
        rule: which of the two.
        seed: of the shuffle.
        holdout: sources that stand in no part; they are scored once, at the end.

    Raises:
        TrainerError: a class has fewer images, or fewer groups, than there are parts, or a held-out
            source does not exist.
    """
    sources = sorted({sample.source for sample in dataset.samples})
    for name in holdout:
        if name not in sources:
            raise TrainerError(f"source '{name}' to hold out is not one of {', '.join(sources)}")
    held = tuple(sample for sample in dataset.samples if sample.source in holdout)
    tied = {sample.group for sample in held if sample.group}  # what resembles a held-out picture is not learned from
    rest = tuple(s for s in dataset.samples if s.source not in holdout and s.group not in tied)
    if rule == "as-published":
        return _as_published(rest, seed, held)
    _check_enough(rest)
    parts: dict[Part, list[Sample]] = {part: [] for part in PARTS}
    for name, groups in _strata(rest).items():
        groups.sort(key=lambda group: _content(group[0]))
        random.Random(f"{seed}/{name}").shuffle(groups)
        for part, members in _cut(groups).items():
            parts[part] += members
    _fill_empty(parts)
    return Split("stratified", **{part: tuple(members) for part, members in parts.items()}, holdout=held)


def _check_enough(samples: Sequence[Sample]) -> None:
    for label in LABELS:
        chosen = [sample for sample in samples if sample.label == label]
        groups = len({sample.group or sample.sha256 for sample in chosen})
        if groups < len(PARTS):
            together = f" in {groups} groups" if groups < len(chosen) else ""
            raise TrainerError(
                f"{len(chosen)} {label} images{together} cannot fill the {len(PARTS)} parts {', '.join(PARTS)}"
            )


def _strata(samples: Sequence[Sample]) -> dict[str, list[list[Sample]]]:
    """Return groups by the sources and classes that they hold, in a stable order."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group or sample.sha256].append(sample)
    strata: dict[str, list[list[Sample]]] = defaultdict(list)
    for group in groups.values():
        group.sort(key=_content)
        strata["/".join(sorted({f"{s.source}/{s.label}" for s in group}))].append(group)
    return dict(sorted(strata.items()))


def _content(sample: Sample) -> tuple[str, Path]:
    """Order by content, so that a renamed file stays on its side; by path among exact duplicates."""
    return sample.sha256, sample.path


def _cut(groups: list[list[Sample]]) -> dict[Part, list[Sample]]:
    """Cut by cumulative shares of images; a group goes where its middle falls, whole."""
    total = sum(map(len, groups))
    cut: dict[Part, list[Sample]] = {part: [] for part in PARTS}
    before = 0
    for group in groups:
        middle = (2 * before + len(group)) * 50  # in halves of an image, against percent of the total
        part = next(part for part in PARTS if middle < _UP_TO[part] * total or part == PARTS[-1])
        cut[part] += group
        before += len(group)
    return cut


def _fill_empty(parts: dict[Part, list[Sample]]) -> None:
    """Give every part an image of each class, with its group, from the part that can best spare it.

    Raises:
        TrainerError: the groups are too large to be dealt out.
    """
    for part in PARTS[1:]:
        for label in LABELS:
            if any(sample.label == label for sample in parts[part]):
                continue
            parts[part] += _spare(parts, label, part)


def _spare(parts: dict[Part, list[Sample]], label: Label, wanted: Part) -> list[Sample]:
    """Take the smallest group with such an image out of the part that has most, if that keeps both classes."""
    by_plenty = sorted(PARTS, key=lambda name: -sum(sample.label == label for sample in parts[name]))
    for donor in by_plenty:
        groups: dict[str, list[Sample]] = defaultdict(list)
        for sample in parts[donor]:
            groups[sample.group or sample.sha256].append(sample)
        for group in sorted(groups.values(), key=len):
            left = [sample for sample in parts[donor] if sample not in group]
            if any(s.label == label for s in group) and {s.label for s in left} == set(LABELS):
                parts[donor][:] = left
                return group
    raise TrainerError(f"the {wanted} part has no {label} image: groups are too large to be kept whole")


def _as_published(dataset: Sequence[Sample], seed: int, held: tuple[Sample, ...]) -> Split:
    samples = sorted(dataset, key=_content)
    random.Random(seed).shuffle(samples)
    held_out = round(len(samples) * PUBLISHED_TEST_SHARE)
    test, train = tuple(samples[:held_out]), tuple(samples[held_out:])
    for name, part in (("train", train), ("test", test)):
        if len({sample.label for sample in part}) < 2:
            raise TrainerError(
                f"{len(samples)} images are too few for an 80/20 cut with both classes in its {name} part"
            )
    return Split("as-published", train, test, (), test, held)


def write_split(path: Path, dataset: Dataset, parts: Split) -> None:
    """Write ``split.csv``: every file with its part, outliers too, and the data's files left out with their reason."""
    names: list[Part] = ["train", "test"] if parts.rule == "as-published" else list(PARTS)
    rows: dict[str, tuple[Sample, ...]] = {name: parts.part(name) for name in names}
    rows |= {HOLDOUT: parts.holdout, OUTLIER: parts.outliers}
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["part", "source", "label", "path", "sha256", "group", "reason"])
        for part, samples in rows.items():
            for sample in samples:
                writer.writerow([part, sample.source, sample.label, sample.path, sample.sha256, sample.group, ""])
        for left_out in dataset.rejected:
            writer.writerow([_LEFT_OUT, left_out.source, left_out.label, left_out.path, "", "", left_out.reason])


def read_split(path: Path) -> Split:
    """Read ``split.csv`` back.

    Raises:
        TrainerError: the file is missing or is not a split.
    """
    parts: dict[str, list[Sample]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            for number, row in enumerate(csv.DictReader(stream, strict=True), 2):
                if row["part"] == _LEFT_OUT:
                    continue
                labels = ("neither",) if row["part"] == OUTLIER else LABELS
                if row["part"] not in (*PARTS, HOLDOUT, OUTLIER) or row["label"] not in labels or not row["sha256"]:
                    raise TrainerError(f"'{path}' is not a split: line {number}: {list(row.values())}"[:300])
                label: Label = "fake" if row["label"] == "fake" else "real" if row["label"] == "real" else "neither"
                sample = Sample(Path(row["path"]), label, row["source"], row["sha256"], row.get("group") or "")
                parts[row["part"]].append(sample)
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise TrainerError(f"'{path}' is not a split: {error}") from None
    train, validation, calibration, test = (tuple(parts[part]) for part in PARTS)
    held, outliers = tuple(parts[HOLDOUT]), tuple(parts[OUTLIER])
    if not validation:
        return Split("as-published", train, test, (), test, held, outliers)
    return Split("stratified", train, validation, calibration, test, held, outliers)


def split_digest(parts: Split) -> str:
    """Return SHA-256 over every sample's part, source, label and content, wherever its file lies."""
    named = [(name, parts.part(name)) for name in PARTS] + [(HOLDOUT, parts.holdout), (OUTLIER, parts.outliers)]
    if parts.rule == "as-published":  # one part is both
        named = [(name, samples) for name, samples in named if name != "validation"]
    lines = sorted(f"{name}\t{s.source}\t{s.label}\t{s.sha256}\n" for name, samples in named for s in samples)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def run_split(run: Run) -> Split:
    """Return a run's split, if it is the one that the run began with.

    Raises:
        TrainerError: it is not, or this is no run folder.
    """
    parts, config = read_split(run.split), read_run_config(run)
    # Runs from before the digest was recorded say how many pictures of each source and class they had.
    counts = Counter(f"{s.source}/{s.label}" for name in PARTS for s in parts.part(name))
    if parts.rule == "as-published":
        counts.subtract(f"{s.source}/{s.label}" for s in parts.validation)
    if config.split_sha256:
        changed = split_digest(parts) != config.split_sha256
    else:
        changed = parts.rule != config.split or (not config.holdout and dict(+counts) != config.dataset.counts)
    if changed:
        raise TrainerError(f"'{run.split}' is not the split that its run began with: rows were lost or changed")
    return parts


def relocate(parts: Split, dataset: Dataset) -> Split:
    """Return the same split, but for its outliers, over a new scan of the same data, whose files may have moved.

    Raises:
        TrainerError: a picture of the split is not in the scan.
    """
    by_content = {(sample.source, sample.label, sample.sha256): sample for sample in dataset.samples}

    def moved(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        try:
            return tuple(by_content[sample.source, sample.label, sample.sha256] for sample in samples)
        except KeyError as missing:
            raise TrainerError(f"a picture of the split is gone: {missing.args[0]}") from None

    train, validation, calibration, test = (moved(parts.part(name)) for name in PARTS)
    return Split(parts.rule, train, validation, calibration, test, moved(parts.holdout))
