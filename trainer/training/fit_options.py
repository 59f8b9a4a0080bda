"""Options of a fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import keras

from trainer.common.errors import TrainerError
from trainer.common.files import refuse_existing
from trainer.common.run import Run
from trainer.common.versions import commit, library_versions
from trainer.data.dataset import Dataset
from trainer.recipes.recipe import Recipe
from trainer.recipes.run_config import DataFacts, GroupRule, RunConfig, SplitRule, read_run_config


@dataclass(frozen=True, slots=True)
class FitOptions:
    """Options of ``trainer fit``.

    Attributes:
        roots: data folders.
        recipe: recipe with all overrides applied.
        run: folder of the results.
        seed: seed of weights, data order and augmentation, and of the split if ``split_seed`` is None.
        split_rule: ``stratified`` or ``as-published``.
        groups: rule that groups pictures, in addition to near duplicates.
        one_class_groups: refuse a group that holds both classes.
        holdout: sources that are left out of every part and scored once at the end.
        resume: continue after the last finished epoch of the run.
        cache: folder for decoded tensors, which is kept; None: inside the run, removed at the end.
        version: version of the model; None: the date of the fit.
        split_seed: seed of the split; None: ``seed``.
        workers: processes that augment pictures; 0: threads of this process. Does not affect the pictures.
        tensorboard: write event files.
        outliers: folders of pictures that are neither real nor fake (:mod:`trainer.data.outliers`).
    """

    roots: Sequence[Path]
    recipe: Recipe
    run: Run
    seed: int
    split_rule: SplitRule
    groups: GroupRule = "listed"
    one_class_groups: bool = False
    holdout: tuple[str, ...] = ()
    resume: bool = False
    cache: Path | None = None
    version: str | None = None
    split_seed: int | None = None
    workers: int = 0
    tensorboard: bool = False
    outliers: Sequence[Path] = ()

    def config(self, dataset: Dataset, outliers: Dataset) -> RunConfig:
        """Return the configuration of a new run on this data."""
        return RunConfig(
            recipe=self.recipe,
            seed=self.seed,
            split=self.split_rule,
            version=self.version or datetime.now(UTC).strftime("%Y.%m.%d"),
            dataset=_facts(self.roots, dataset),
            library_versions=library_versions(),
            commit=commit(),
            split_seed=self.seed if self.split_seed is None else self.split_seed,
            groups=self.groups,
            holdout=self.holdout,
            outliers=_facts(self.outliers, outliers),
            backend=keras.backend.backend(),
        )


def check_run_folder(options: FitOptions) -> None:
    """Refuse, before the long scan, an existing run folder or a run that cannot be resumed.

    Raises:
        TrainerError: there is nothing to resume, or the folder of a new run exists.
    """
    run = options.run
    if not options.resume:
        if run.folder.exists():
            raise TrainerError(
                f"run folder '{run.folder}' exists: name another with --out, or continue it with --resume"
            )
        refuse_existing(run.folder)
        if options.cache:
            options.cache.mkdir(parents=True, exist_ok=True)
        return
    read_run_config(run)
    if not run.checkpoints.is_dir():
        raise TrainerError(f"run '{run.folder}' has finished: there is nothing to resume")


def _facts(roots: Sequence[Path], dataset: Dataset) -> DataFacts:
    return DataFacts(dataset.fingerprint(), dataset.counts(), tuple(map(str, roots)), len(dataset.rejected))
