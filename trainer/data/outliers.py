"""Outliers: pictures of faces that are neither photos nor generated, on which a network must not be sure.

Drawings, paintings, statues, rendered figures. Training labels them half real, half fake, as it does the drawings of
:mod:`trainer.augment.drawings` (outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606). They are in no other part.
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
    """Read every file under the folders, whatever folders they hold, as samples labelled ``neither``.

    Args:
        folders: each is a source named after it; their order and the names of their files have no say.
        recipe: where its framing is ``face``, pictures that show none are left out.
        dataset: what is trained and tested on, with its facts; what is in it, or nearly, is not taken for an outlier.

    Raises:
        TrainerError: a folder is missing, or nothing is left of all.
    """
    if not folders:
        return Dataset(())
    named = dict(named_roots(folders))
    files = [found for source, folder in sorted(named.items()) for found in files_of(source, "neither", folder)]
    read = read_dataset(files, named)
    known = _known(read.samples, dataset.samples)
    fresh = tuple(sample for sample in read.samples if sample.sha256 not in known)
    old = tuple(
        Rejected(s.path, s.label, s.source, f"duplicate of {known[s.sha256].path}", known[s.sha256])
        for s in read.samples
        if s.sha256 in known
    )
    found = with_faces(replace(read, samples=fresh, rejected=(*read.rejected, *old)), recipe)
    if not found.samples:
        raise TrainerError(f"no outliers are left of {len(files)} files under {', '.join(map(str, folders))}")
    return replace(found, samples=tuple(sorted(found.samples, key=lambda sample: (sample.source, sample.sha256))))


def _known(outliers: Sequence[Sample], classed: Sequence[Sample]) -> dict[str, Sample]:
    """Return the outliers that are pictures of the data, or near duplicates of one, by SHA-256, with that one."""
    same = {sample.sha256: sample for sample in classed}
    found = {sample.sha256: same[sample.sha256] for sample in outliers if sample.sha256 in same}
    first = len(classed)
    for one, other in near_duplicates([*classed, *outliers]).tolist():
        if one < first <= other:
            found.setdefault(outliers[other - first].sha256, classed[one])
    return found
