"""Outliers: faces that are neither photos nor generated, for which the network must not be confident.

Examples are drawings, paintings, statues and rendered figures. Training labels them half real, half fake, like the
drawings of :mod:`trainer.augment.drawings` (outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606). They are used
in training only.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainer.common.errors import TrainerError
from trainer.data.dataset import Dataset, Rejected, Sample, files_of, named_roots, read_dataset
from trainer.data.duplicates import near_duplicates
from trainer.data.face_framing import with_faces
from trainer.recipes.recipe import Recipe


def scan_outliers(folders: Sequence[Path], recipe: Recipe, dataset: Dataset) -> Dataset:
    """Read every file under the folders, at any depth, as samples labelled ``neither``.

    Args:
        folders: each is a source named after its folder; the order of folders and file names does not matter.
        recipe: where its framing is ``face``, pictures without a face are left out.
        dataset: training and test pictures, with facts; copies and near duplicates of them are left out.

    Raises:
        TrainerError: a folder is missing, or no outliers are left.
    """
    if not folders:
        return Dataset(())
    named = dict(named_roots(folders))
    files = [entry for source, folder in sorted(named.items()) for entry in files_of(source, "neither", folder)]
    read = read_dataset(files, named)
    known = _known(read.samples, dataset.samples)
    fresh = tuple(sample for sample in read.samples if sample.sha256 not in known)
    repeated = tuple(
        Rejected(s.path, s.label, s.source, f"duplicate of {known[s.sha256].path}", known[s.sha256])
        for s in read.samples
        if s.sha256 in known
    )
    outliers = with_faces(replace(read, samples=fresh, rejected=(*read.rejected, *repeated)), recipe)
    if not outliers.samples:
        raise TrainerError(f"no outliers are left of {len(files)} files under {', '.join(map(str, folders))}")
    return replace(outliers, samples=tuple(sorted(outliers.samples, key=lambda sample: (sample.source, sample.sha256))))


def _known(outliers: Sequence[Sample], classed: Sequence[Sample]) -> dict[str, Sample]:
    """Return the sample that an outlier equals or nearly duplicates, by SHA-256 of the outlier."""
    by_content = {sample.sha256: sample for sample in classed}
    known = {sample.sha256: by_content[sample.sha256] for sample in outliers if sample.sha256 in by_content}
    offset = len(classed)
    for low, high in near_duplicates([*classed, *outliers]).tolist():
        if low < offset <= high:
            known.setdefault(outliers[high - offset].sha256, classed[low])
    return known
