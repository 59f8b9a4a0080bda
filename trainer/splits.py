"""Splits: which picture is learned from, chosen by, calibrated on and tested on."""

import csv
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from trainer.dataset import Dataset, Label, Sample
from trainer.errors import TrainerError
from trainer.files import atomic_path

Part = Literal["train", "validation", "calibration", "test"]
SplitRule = Literal["stratified", "as-published"]
PARTS: tuple[Part, ...] = get_args(Part)
SHARES: dict[Part, float] = {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}
PUBLISHED_TEST_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """Samples by part. ``as-published`` has one held-out part for both validation and test."""

    rule: SplitRule
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    calibration: tuple[Sample, ...]
    test: tuple[Sample, ...]

    def part(self, name: Part) -> tuple[Sample, ...]:
        """Return one part by name."""
        samples: tuple[Sample, ...] = getattr(self, name)
        return samples


def split(dataset: Dataset, rule: SplitRule, seed: int) -> Split:
    """Split a dataset, seeded.

    ``stratified``: 70/10/10/10 within every source and class, so that every part holds each in the
    same proportion. ``as-published``: one shuffled 80/20 cut, whose 20 % both chooses the epoch and
    reports the result, as the published systems did.

    Raises:
        TrainerError: a class has fewer images than there are parts.
    """
    if rule == "as-published":
        return _as_published(dataset, seed)
    for label in ("real", "fake"):
        count = sum(sample.label == label for sample in dataset.samples)
        if count < len(PARTS):
            raise TrainerError(f"{count} {label} images cannot fill the {len(PARTS)} parts {', '.join(PARTS)}")
    strata: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        strata[sample.source, sample.label].append(sample)
    parts: dict[Part, list[Sample]] = {part: [] for part in PARTS}
    for (source, label), stratum in sorted(strata.items()):
        stratum.sort(key=_content)
        random.Random(f"{seed}/{source}/{label}").shuffle(stratum)
        for part, members in _cut(stratum).items():
            parts[part] += members
    _fill_empty(parts)
    return Split("stratified", **{part: tuple(members) for part, members in parts.items()})


def _content(sample: Sample) -> tuple[str, Path]:
    """Order by content, so that a renamed file stays on its side; by path among exact duplicates."""
    return sample.sha256, sample.path


def _cut(stratum: list[Sample]) -> dict[Part, list[Sample]]:
    """Cut by rounded cumulative shares; small strata go to the training part first."""
    cut, start, share = {}, 0, 0.0
    for part in PARTS:
        share += SHARES[part]
        end = round(len(stratum) * share)
        cut[part] = stratum[start:end]
        start = end
    return cut


def _fill_empty(parts: dict[Part, list[Sample]]) -> None:
    """Give every part at least one image of each class, taken from the part that has most."""
    for part in PARTS[1:]:
        for label in ("real", "fake"):
            if not any(sample.label == label for sample in parts[part]):
                spare = max(
                    PARTS,
                    key=lambda name: sum(sample.label == label for sample in parts[name]),
                )
                moved = next(sample for sample in reversed(parts[spare]) if sample.label == label)
                parts[spare].remove(moved)
                parts[part].append(moved)


def _as_published(dataset: Dataset, seed: int) -> Split:
    samples = sorted(dataset.samples, key=_content)
    random.Random(seed).shuffle(samples)
    held_out = round(len(samples) * PUBLISHED_TEST_SHARE)
    test, train = tuple(samples[:held_out]), tuple(samples[held_out:])
    for name, part in (("train", train), ("test", test)):
        if len({sample.label for sample in part}) < 2:
            raise TrainerError(
                f"{len(samples)} images are too few for an 80/20 cut with both classes in its {name} part"
            )
    return Split("as-published", train, test, (), test)


def write_split(path: Path, dataset: Dataset, parts: Split) -> None:
    """Write ``split.csv``: every file with its part, and the files left out with their reason."""
    names: list[Part] = ["train", "test"] if parts.rule == "as-published" else list(PARTS)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(["part", "source", "label", "path", "sha256", "reason"])
        for part in names:
            for sample in parts.part(part):
                writer.writerow([part, sample.source, sample.label, sample.path, sample.sha256, ""])
        for left_out in dataset.rejected:
            writer.writerow(["left-out", left_out.source, left_out.label, left_out.path, "", left_out.reason])


def read_split(path: Path) -> Split:
    """Read ``split.csv`` back.

    Raises:
        TrainerError: the file is missing or is not a split.
    """
    parts: dict[str, list[Sample]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            for row in csv.DictReader(stream):
                label: Label = "fake" if row["label"] == "fake" else "real"
                parts[row["part"]].append(Sample(Path(row["path"]), label, row["source"], row["sha256"]))
    except (OSError, KeyError) as error:
        raise TrainerError(f"'{path}' is not a split: {error}") from None
    train, validation, calibration, test = (tuple(parts[part]) for part in PARTS)
    if not validation:
        return Split("as-published", train, test, (), test)
    return Split("stratified", train, validation, calibration, test)


def relocate(parts: Split, dataset: Dataset) -> Split:
    """Return the same split over a new scan of the same data, whose files may have moved.

    Raises:
        TrainerError: a picture of the split is not in the scan.
    """
    found = {(sample.source, sample.label, sample.sha256): sample for sample in dataset.samples}

    def moved(part: tuple[Sample, ...]) -> tuple[Sample, ...]:
        try:
            return tuple(found[sample.source, sample.label, sample.sha256] for sample in part)
        except KeyError as missing:
            raise TrainerError(f"a picture of the split is gone: {missing.args[0]}") from None

    return Split(parts.rule, *(moved(parts.part(name)) for name in PARTS))
