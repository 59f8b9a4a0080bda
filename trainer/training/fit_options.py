"""Options of a fit, and the run folder that it creates or resumes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from trainer.audit.audit import Audit
from trainer.common.errors import TrainerError
from trainer.common.files import new_folder, refuse_existing, remove_partial
from trainer.common.run import Run
from trainer.common.versions import commit, library_versions
from trainer.data.dataset import Dataset
from trainer.data.face_framing import framing_facts
from trainer.data.splits import Split, relocate, run_split, split, split_digest, write_split
from trainer.recipes.recipe import Recipe
from trainer.recipes.run_config import (
    DataFacts,
    GroupRule,
    RunConfig,
    SplitRule,
    read_run_config,
    write_run_config,
)
from trainer.report.audit_page import write_audit


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


def split_of(options: FitOptions, dataset: Dataset, outliers: Dataset) -> Split:
    """Return the split of a new or resumed run, without writing anything.

    Raises:
        TrainerError: see :func:`trainer.data.splits.split`; or the run was started with other settings or data.
    """
    config = options.config(dataset, outliers)
    if not options.resume:
        new_split = split(dataset, options.split_rule, config.seed_of_split, options.holdout)
        return replace(new_split, outliers=outliers.samples)
    resumed, saved = identity(config), identity(read_run_config(options.run))
    changes = [
        f"{key} {saved.get(key)}, now {resumed.get(key)}"
        for key in {**saved, **resumed}
        if saved.get(key) != resumed.get(key)
    ]
    if changes:
        raise TrainerError(f"run '{options.run.folder}' was started with other settings or data: {'; '.join(changes)}")
    return replace(relocate(run_split(options.run), dataset), outliers=outliers.samples)


def identity(config: RunConfig) -> dict[str, Any]:
    """Return the settings that must match between a run and its resume, and among processes, as JSON values.

    The number of epochs is included only with a cosine decay, which spans all epochs.
    """
    recipe = json.loads(json.dumps(config.recipe.settings()))
    if not config.recipe.cosine_decay:
        del recipe["epochs"]
    return {
        "data fingerprint": config.dataset.fingerprint,
        "outliers": config.outliers.fingerprint,
        "seed": config.seed,
        "split": config.split,
        "split seed": config.seed_of_split,
        "groups": config.groups or "listed",
        "holdout": list(config.holdout),
        **{f"recipe {name}": value for name, value in recipe.items()},
    }


def write_start(
    options: FitOptions, dataset: Dataset, outliers: Dataset, parts: Split, audit_result: Audit | None
) -> None:
    """Create the run folder atomically, or update the folder of a resumed run."""
    run = options.run
    if options.resume:
        remove_partial(run.folder)
        saved = read_run_config(run)
        config = replace(
            saved,
            recipe=options.recipe,
            version=options.version or saved.version,
            faces=saved.faces or framing_facts(parts.train),
            split_sha256=split_digest(parts),
        )
        write_run_config(run, config)
        write_split(run.split, dataset, parts)
        return
    # A kill must not leave an incomplete run folder.
    with new_folder(run.folder) as folder:
        unfinished = Run(folder)
        unfinished.checkpoints.mkdir()
        config = replace(
            options.config(dataset, outliers),
            faces=framing_facts(parts.train),
            split_sha256=split_digest(parts),
            audit=audit_result.summary() if audit_result else None,
        )
        write_run_config(unfinished, config)
        write_split(unfinished.split, dataset, parts)
        if audit_result:
            write_audit(audit_result, dataset, unfinished.audit, unfinished.audit_page)


def _facts(roots: Sequence[Path], dataset: Dataset) -> DataFacts:
    return DataFacts(dataset.fingerprint(), dataset.counts(), tuple(map(str, roots)), len(dataset.rejected))
