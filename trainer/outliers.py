"""Outliers: pictures of faces that are neither photos nor generated, for a network to learn not to be sure of.

Drawings, paintings, statues, rendered figures. They are trained on with both classes equally right, as
:mod:`trainer.drawings` are (outlier exposure, Hendrycks et al. 2019, arXiv:1812.04606), and stand in no other part.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trainer.dataset import Dataset, Rejected, files_of, named_roots, read_dataset
from trainer.errors import TrainerError
from trainer.framed import with_faces
from trainer.recipes import Recipe


def scan_outliers(folders: Sequence[Path], recipe: Recipe, dataset: Dataset) -> Dataset:
    """Read every file under the folders, whatever folders they hold, as samples labelled ``neither``.

    Args:
        folders: each is a source named after it.
        recipe: where its framing is ``face``, pictures that show none are left out.
        dataset: what is trained on; a picture of it is not taken for an outlier.

    Raises:
        TrainerError: a folder is missing, or nothing is left of all.
    """
    if not folders:
        return Dataset(())
    named = dict(named_roots(folders))
    files = [found for source, folder in named.items() for found in files_of(source, "neither", folder)]
    found = read_dataset(files, named)
    known = {sample.sha256: sample for sample in dataset.samples}
    twins = tuple(
        Rejected(s.path, s.label, s.source, f"duplicate of {known[s.sha256].path}", known[s.sha256])
        for s in found.samples
        if s.sha256 in known
    )
    kept = tuple(sample for sample in found.samples if sample.sha256 not in known)
    if not kept:
        raise TrainerError(f"no outliers are left of {len(files)} files under {', '.join(map(str, folders))}")
    return with_faces(replace(found, samples=kept, rejected=(*found.rejected, *twins)), recipe)
