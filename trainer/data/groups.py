"""Groups: pictures that belong together and must stay on the same side of a split.

Two pictures are in a group if they are near duplicates, if ``ROOT/groups.csv`` (columns ``file``, relative to
the root, and ``group``) lists them under the same group, or, with the rule ``folders``, if they lie in folders of
the same name (``real/anna/1.jpg`` and ``fake/anna/7.jpg`` show the same person). The relation is transitive.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.common.errors import TrainerError
from trainer.data.dataset import Dataset, Sample
from trainer.data.duplicates import clusters, near_duplicates
from trainer.recipes.run_config import GroupRule

GROUPS_FILE = "groups.csv"
_MAX_NAMED = 5


def grouped(dataset: Dataset, rule: GroupRule = "listed", *, one_class: bool = False) -> Dataset:
    """Return the dataset with every sample's ``group`` set, and its near duplicates.

    Args:
        dataset: scanned dataset, with facts.
        rule: ``listed`` groups near duplicates and the lines of ``groups.csv``; ``folders`` also
            groups the pictures of folders of the same name under ``real`` and ``fake``.
        one_class: refuse a group that holds both classes.

    Raises:
        TrainerError: a ``groups.csv`` is malformed or lists files that do not exist, or a group
            holds both classes and ``one_class`` forbids it.
    """
    samples = dataset.samples
    listed = {source: _listed(root) for source, root in dataset.roots.items() if os.path.lexists(root / GROUPS_FILE)}
    everything = _with_duplicates(dataset)
    _check_scanned(dataset, listed)
    near = near_duplicates(samples)
    pairs = [near, _chained(_listed_keys(everything, listed))]
    if rule == "folders":
        pairs.append(_chained(_folder_keys(everything, dataset.roots)))
    component = clusters(np.concatenate(pairs), len(samples))
    members: dict[int, list[Sample]] = defaultdict(list)
    for sample, number in zip(samples, component, strict=True):
        members[int(number)].append(sample)
    if one_class:
        _check_one_class(members.values())
    names = {number: _name(group) for number, group in members.items()}
    tied = tuple(replace(sample, group=names[int(number)]) for sample, number in zip(samples, component, strict=True))
    return replace(dataset, samples=tied, near=tuple((int(first), int(second)) for first, second in near))


def _check_scanned(dataset: Dataset, listed: Mapping[str, Mapping[Path, str]]) -> None:
    """Refuse a ``groups.csv`` that lists paths that the scan did not read, for example paths through a link."""
    read = {sample.path for sample in dataset.samples} | {rejected.path for rejected in dataset.rejected}
    for source, files in listed.items():
        unknown = [path for path in files if path not in read]
        if unknown:
            path = dataset.roots[source] / GROUPS_FILE
            raise TrainerError(f"'{path}' lists '{unknown[0]}', which the scan did not read under that path")


def _name(group: Sequence[Sample]) -> str:
    """Name a group after its content, so that renaming its files does not change the split."""
    return min(sample.sha256 for sample in group)[:16] if len(group) > 1 else ""


def _listed(root: Path) -> dict[Path, str]:
    """Read ``groups.csv`` and return the group of each file."""
    path = root / GROUPS_FILE
    group_of: dict[Path, str] = {}
    if not path.is_file():
        raise TrainerError(f"'{path}' exists and is not a regular file: is it a broken link?")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            if not {"file", "group"} <= set(reader.fieldnames or ()):
                raise TrainerError(f"'{path}' has the columns {reader.fieldnames}; it needs 'file' and 'group'")
            for number, row in enumerate(reader, start=2):
                if not row["file"] or not row["group"]:
                    raise TrainerError(
                        f"'{path}' line {number}: file {row['file']!r}, group {row['group']!r}: both need a value"
                    )
                file = Path(os.path.normpath(root / row["file"]))
                if not file.is_relative_to(root):
                    raise TrainerError(f"'{path}' line {number}: '{row['file']}' is not inside '{root}'")
                if group_of.setdefault(file, row["group"]) != row["group"]:
                    raise TrainerError(f"'{path}' line {number}: '{row['file']}' is in two groups")
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainerError(f"'{path}' is not a CSV file of files and groups: {error}") from None
    missing = [os.path.relpath(file, root) for file in group_of if not file.is_file()]
    if missing:
        rest = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise TrainerError(
            f"'{path}' lists {len(missing)} files that do not exist: {', '.join(missing[:_MAX_NAMED])}{rest}"
        )
    return group_of


# A file: row of the sample that represents it, source, class and path.
_File = tuple[int, str, str, Path]


def _with_duplicates(dataset: Dataset) -> list[_File]:
    """Return every sample, and every duplicate that was left out under the row of the sample it repeats."""
    rows = {sample.path: row for row, sample in enumerate(dataset.samples)}
    files: list[_File] = [(row, sample.source, sample.label, sample.path) for row, sample in enumerate(dataset.samples)]
    twins = [(r, rows[r.twin.path]) for r in dataset.rejected if r.twin and r.twin.path in rows]
    return files + [(row, left_out.source, left_out.label, left_out.path) for left_out, row in twins]


def _listed_keys(files: list[_File], listed: dict[str, dict[Path, str]]) -> list[tuple[int, str]]:
    groups = [(row, source, listed.get(source, {}).get(path)) for row, source, _, path in files]
    return [(row, f"{source}\0{group}") for row, source, group in groups if group is not None]


def _folder_keys(files: list[_File], roots: Mapping[str, Path]) -> list[tuple[int, str]]:
    folders = [(row, source, path.parent.relative_to(roots[source] / label)) for row, source, label, path in files]
    return [(row, f"{source}\0{folder}") for row, source, folder in folders if folder != Path()]


def _chained(keys: Iterable[tuple[int, str]]) -> NDArray[np.int64]:
    """Return pairs that connect each row to the previous row with the same key."""
    previous: dict[str, int] = {}
    pairs = []
    for row, key in keys:
        if key in previous:
            pairs.append((previous[key], row))
        previous[key] = row
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _check_one_class(groups: Iterable[Sequence[Sample]]) -> None:
    for group in groups:
        first_of = {sample.label: sample for sample in reversed(group)}
        if len(first_of) > 1:
            raise TrainerError(
                f"a group holds real and fake pictures, which --one-class-groups forbids: "
                f"'{first_of['real'].path}' and '{first_of['fake'].path}' ({len(group)} pictures in the group)"
            )
