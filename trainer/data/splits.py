"""Splits of a dataset into parts for training, validation, calibration and testing."""

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
_CUMULATIVE_PERCENT: dict[Part, int] = {"train": 70, "validation": 80, "calibration": 90, "test": 100}
PUBLISHED_TEST_SHARE = 0.2
HOLDOUT = "holdout"
OUTLIER = "outlier"
_LEFT_OUT = "left-out"


@dataclass(frozen=True, slots=True)
class Split:
    """Samples by part; ``as-published`` uses the same part for validation and test.

    ``holdout`` holds whole sources that are left out of every part and scored once at the end. ``outliers`` are
    neither real nor fake and are trained on in addition to ``train`` (:mod:`trainer.data.outliers`).
    """

    rule: SplitRule
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    calibration: tuple[Sample, ...]
    test: tuple[Sample, ...]
    holdout: tuple[Sample, ...] = ()
    outliers: tuple[Sample, ...] = ()

    def part(self, name: Part) -> tuple[Sample, ...]:
        """Return the samples of a part."""
        samples: tuple[Sample, ...] = getattr(self, name)
        return samples


def split(dataset: Dataset, rule: SplitRule, seed: int, holdout: Sequence[str] = ()) -> Split:
    """Split a dataset into parts with a seeded shuffle.

    ``stratified``: 70/10/10/10 within every source and class, so that every part has the same proportions; groups are
    kept together. ``as-published``: a shuffled 80/20 split that ignores groups; its 20 % both select the epoch and
    report the result, as in the published systems.

    Args:
        dataset: dataset with its groups set, see :mod:`trainer.data.groups`.
        rule: ``stratified`` or ``as-published``.
        seed: seed of the shuffle.
        holdout: sources that are left out of every part and scored once at the end.

    Raises:
        TrainerError: a class has fewer images or groups than there are parts, groups are too large to keep together,
            or a held-out source does not exist.
    """
    sources = sorted({sample.source for sample in dataset.samples})
    for name in holdout:
        if name not in sources:
            raise TrainerError(f"held-out source '{name}' is not one of {', '.join(sources)}")
    holdout_samples = tuple(sample for sample in dataset.samples if sample.source in holdout)
    # Pictures that resemble a held-out picture are not trained on.
    holdout_groups = {sample.group for sample in holdout_samples if sample.group}
    remaining = tuple(s for s in dataset.samples if s.source not in holdout and s.group not in holdout_groups)
    if rule == "as-published":
        return _as_published(remaining, seed, holdout_samples)
    _check_enough(remaining)
    parts: dict[Part, list[Sample]] = {part: [] for part in PARTS}
    for name, groups in _strata(remaining).items():
        groups.sort(key=lambda group: _content(group[0]))
        random.Random(f"{seed}/{name}").shuffle(groups)
        for part, members in _cut(groups).items():
            parts[part] += members
    _fill_empty(parts)
    return Split("stratified", **{part: tuple(members) for part, members in parts.items()}, holdout=holdout_samples)


def _check_enough(samples: Sequence[Sample]) -> None:
    for label in LABELS:
        class_samples = [sample for sample in samples if sample.label == label]
        groups = len({sample.group or sample.sha256 for sample in class_samples})
        if groups < len(PARTS):
            group_count = f" in {groups} groups" if groups < len(class_samples) else ""
            raise TrainerError(
                f"{len(class_samples)} {label} images{group_count} are too few for the {len(PARTS)} parts "
                f"{', '.join(PARTS)}"
            )


def _strata(samples: Sequence[Sample]) -> dict[str, list[list[Sample]]]:
    """Return groups by their sources and classes, in a stable order."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group or sample.sha256].append(sample)
    strata: dict[str, list[list[Sample]]] = defaultdict(list)
    for group in groups.values():
        group.sort(key=_content)
        strata["/".join(sorted({f"{s.source}/{s.label}" for s in group}))].append(group)
    return dict(sorted(strata.items()))


def _content(sample: Sample) -> tuple[str, Path]:
    """Return the sort key: the content, so that renamed files keep their part; the path for exact duplicates."""
    return sample.sha256, sample.path


def _cut(groups: list[list[Sample]]) -> dict[Part, list[Sample]]:
    """Divide groups by cumulative shares of images; the middle of a group determines its part."""
    total = sum(map(len, groups))
    cut: dict[Part, list[Sample]] = {part: [] for part in PARTS}
    count_before = 0
    for group in groups:
        middle = (2 * count_before + len(group)) * 50  # compares with percent * total in integers
        part = next(part for part in PARTS if middle < _CUMULATIVE_PERCENT[part] * total or part == PARTS[-1])
        cut[part] += group
        count_before += len(group)
    return cut


def _fill_empty(parts: dict[Part, list[Sample]]) -> None:
    """Move groups so that every part has an image of each class, from the part with the most such images.

    Raises:
        TrainerError: the groups are too large to be distributed.
    """
    for part in PARTS[1:]:
        for label in LABELS:
            if any(sample.label == label for sample in parts[part]):
                continue
            parts[part] += _take_group(parts, label, part)


def _take_group(parts: dict[Part, list[Sample]], label: Label, recipient: Part) -> list[Sample]:
    """Remove the smallest group with a label from the part with most of them, if the part keeps both classes."""
    donors = sorted(PARTS, key=lambda name: -sum(sample.label == label for sample in parts[name]))
    for donor in donors:
        groups: dict[str, list[Sample]] = defaultdict(list)
        for sample in parts[donor]:
            groups[sample.group or sample.sha256].append(sample)
        for group in sorted(groups.values(), key=len):
            remaining = [sample for sample in parts[donor] if sample not in group]
            if any(s.label == label for s in group) and {s.label for s in remaining} == set(LABELS):
                parts[donor][:] = remaining
                return group
    raise TrainerError(f"the {recipient} part has no {label} image, because groups are too large to be kept together")


def _as_published(dataset: Sequence[Sample], seed: int, holdout: tuple[Sample, ...]) -> Split:
    samples = sorted(dataset, key=_content)
    random.Random(seed).shuffle(samples)
    test_size = round(len(samples) * PUBLISHED_TEST_SHARE)
    test, train = tuple(samples[:test_size]), tuple(samples[test_size:])
    for name, part in (("train", train), ("test", test)):
        if len({sample.label for sample in part}) < 2:
            raise TrainerError(
                f"{len(samples)} images are too few for an 80/20 split with both classes in its {name} part"
            )
    return Split("as-published", train, test, (), test, holdout)


def write_split(path: Path, dataset: Dataset, parts: Split) -> None:
    """Write ``split.csv``: all files with their part, including outliers, and rejected files with the reason."""
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
    """Read ``split.csv``.

    Raises:
        TrainerError: the file is missing or is not a valid split.
    """
    parts: dict[str, list[Sample]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            for number, row in enumerate(csv.DictReader(stream, strict=True), 2):
                if row["part"] == _LEFT_OUT:
                    continue
                labels = ("neither",) if row["part"] == OUTLIER else LABELS
                if row["part"] not in (*PARTS, HOLDOUT, OUTLIER) or row["label"] not in labels or not row["sha256"]:
                    raise TrainerError(f"'{path}' is not a valid split: line {number}: {list(row.values())}"[:300])
                label: Label = "fake" if row["label"] == "fake" else "real" if row["label"] == "real" else "neither"
                sample = Sample(Path(row["path"]), label, row["source"], row["sha256"], row.get("group") or "")
                parts[row["part"]].append(sample)
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise TrainerError(f"'{path}' is not a valid split: {error}") from None
    train, validation, calibration, test = (tuple(parts[part]) for part in PARTS)
    holdout, outliers = tuple(parts[HOLDOUT]), tuple(parts[OUTLIER])
    if not validation:
        return Split("as-published", train, test, (), test, holdout, outliers)
    return Split("stratified", train, validation, calibration, test, holdout, outliers)


def split_digest(parts: Split) -> str:
    """Return the SHA-256 over part, source, label and content of every sample, independent of file paths."""
    samples_by_part = [(name, parts.part(name)) for name in PARTS] + [
        (HOLDOUT, parts.holdout),
        (OUTLIER, parts.outliers),
    ]
    if parts.rule == "as-published":  # validation and test are the same part
        samples_by_part = [(name, samples) for name, samples in samples_by_part if name != "validation"]
    lines = sorted(f"{name}\t{s.source}\t{s.label}\t{s.sha256}\n" for name, samples in samples_by_part for s in samples)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def run_split(run: Run) -> Split:
    """Read the split of a run and verify that it has not changed.

    Raises:
        TrainerError: the split has changed, or the folder is not a run.
    """
    parts, config = read_split(run.split), read_run_config(run)
    # Old runs have no digest; compare the number of pictures of each source and class.
    counts = Counter(f"{s.source}/{s.label}" for name in PARTS for s in parts.part(name))
    if parts.rule == "as-published":
        counts.subtract(f"{s.source}/{s.label}" for s in parts.validation)
    if config.split_sha256:
        changed = split_digest(parts) != config.split_sha256
    else:
        changed = parts.rule != config.split or (not config.holdout and dict(+counts) != config.dataset.counts)
    if changed:
        raise TrainerError(f"'{run.split}' is not the original split of its run: rows are missing or changed")
    return parts


def relocate(parts: Split, dataset: Dataset) -> Split:
    """Return the same split, without outliers, over a new scan of the same data, whose files may have moved.

    Raises:
        TrainerError: a picture of the split is not in the scan.
    """
    by_content = {(sample.source, sample.label, sample.sha256): sample for sample in dataset.samples}

    def relocated(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
        try:
            return tuple(by_content[sample.source, sample.label, sample.sha256] for sample in samples)
        except KeyError as missing:
            raise TrainerError(f"a picture of the split is missing from the data: {missing.args[0]}") from None

    train, validation, calibration, test = (relocated(parts.part(name)) for name in PARTS)
    return Split(parts.rule, train, validation, calibration, test, relocated(parts.holdout))
