"""What a fit is asked for, and the run folder that it begins or resumes."""

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
    """What ``trainer fit`` was asked for.

    Attributes:
        roots: data folders.
        recipe: with all overrides applied.
        run: where the results go.
        seed: of weights, data order and augmentation, and of the split without a ``split_seed``.
        split_rule: ``stratified`` or ``as-published``.
        groups: what ties pictures together, beside near duplicates.
        one_class_groups: refuse a group that holds both classes.
        holdout: sources that are in no part and are scored once at the end.
        resume: continue after the last finished epoch of the run.
        cache: folder for decoded tensors, which is kept; None: inside the run, removed at the end.
        version: of the model; None: the day of the fit.
        split_seed: of the split; None: ``seed``.
        workers: processes that augment pictures; 0: threads of this process. Changes no picture.
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
    """Refuse, before the long scan, a run that exists already or one that cannot be resumed.

    Raises:
        TrainerError: there is nothing to resume, or the folder of a new run exists.
    """
    run = options.run
    if not options.resume:
        if run.folder.exists():
            raise TrainerError(f"run folder '{run.folder}' exists: name another with --out, or go on with --resume")
        refuse_existing(run.folder)
        if options.cache:
            options.cache.mkdir(parents=True, exist_ok=True)
        return
    read_run_config(run)
    if not run.checkpoints.is_dir():
        raise TrainerError(f"run '{run.folder}' has finished: there is nothing to resume")


def split_of(options: FitOptions, dataset: Dataset, outliers: Dataset) -> Split:
    """Return the split of a new run, or the split of the run that is resumed; writes nothing.

    Raises:
        TrainerError: as :func:`trainer.data.splits.split`; or the run began with other settings or data.
    """
    config = options.config(dataset, outliers)
    if not options.resume:
        drawn = split(dataset, options.split_rule, config.seed_of_split, options.holdout)
        return replace(drawn, outliers=outliers.samples)
    resumed, begun = identity(config), identity(read_run_config(options.run))
    changes = [
        f"{key} {begun.get(key)}, now {resumed.get(key)}"
        for key in {**begun, **resumed}
        if begun.get(key) != resumed.get(key)
    ]
    if changes:
        raise TrainerError(f"run '{options.run.folder}' began with another {'; '.join(changes)}")
    return replace(relocate(run_split(options.run), dataset), outliers=outliers.samples)


def identity(config: RunConfig) -> dict[str, Any]:
    """Return what all processes of a fit, and a run and its resume, must have in common, as JSON values.

    That is everything but the number of epochs, and with a cosine decay, which spans all epochs, that as well.
    """
    recipe = json.loads(json.dumps(config.recipe.settings()))
    if not config.recipe.cosine_decay:
        del recipe["epochs"]
    return {
        "data fingerprint": config.dataset.fingerprint,
        "outliers": config.outliers.fingerprint or Dataset(()).fingerprint(),
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
    """Create the run folder whole or not at all; or bring the folder of a resumed run up to date."""
    run = options.run
    if options.resume:
        remove_partial(run.folder)
        begun = read_run_config(run)
        config = replace(
            begun,
            recipe=options.recipe,
            version=options.version or begun.version,
            faces=begun.faces or framing_facts(parts.train),
            split_sha256=split_digest(parts),
        )
        write_run_config(run, config)
        write_split(run.split, dataset, parts)
        return
    # A kill in the middle must not leave a folder that is neither new nor a run.
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
    return DataFacts(tuple(map(str, roots)), dataset.fingerprint(), dataset.counts(), len(dataset.rejected))
