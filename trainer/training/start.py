"""Start: a new run folder with its config, audit and split, or an old one held against what it began with."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras

from trainer.audit.audit import Audit
from trainer.common.errors import TrainerError
from trainer.common.files import new_folder, refuse_existing, remove_partial, write_json
from trainer.common.run import Run
from trainer.common.versions import commit, library_versions
from trainer.data.dataset import Dataset
from trainer.data.face_framing import framing_facts
from trainer.data.groups import GroupRule
from trainer.data.splits import Split, SplitRule, relocate, run_split, split, split_digest, split_seed, write_split
from trainer.recipes.recipe import BEFORE, Recipe, Reencoding
from trainer.report.audit_page import write_audit

_DEFAULT_FRAMING = {"framing": "whole", "face_margin": None, "face_finder": ""}


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What ``trainer fit`` was asked for.

    Attributes:
        roots: data folders.
        recipe: with any overrides applied.
        run: where results go.
        seed: of the weights, the data order and the augmentation, and of the split without a ``split_seed``.
        split_rule: ``stratified`` or ``as-published``.
        groups: what ties pictures together, beside near duplicates.
        one_class_groups: refuse a group that holds both classes.
        holdout: sources that stand in no part and are scored once at the end.
        resume: go on from the run's last finished epoch.
        cache: folder for decoded tensors that is kept; default: inside the run, removed at the end.
        version: version written into the model; default: the day of the fit.
        split_seed: of the split; default: ``seed``.
        workers: processes that augment pictures; 0 for threads of this one. Changes no picture.
        tensorboard: write event files beside the rest.
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

    @property
    def seed_of_split(self) -> int:
        """What the split is drawn by."""
        return self.seed if self.split_seed is None else self.split_seed


def check_run_folder(options: FitOptions) -> None:
    """Refuse, before the long scan, what is no run or exists already.

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
    run.read_config()
    if not run.checkpoints.is_dir():
        raise TrainerError(f"run '{run.folder}' has finished: there is nothing to resume")


def split_of(options: FitOptions, dataset: Dataset, outliers: Dataset) -> Split:
    """Return the split of a new run, or the one that a resumed run began with; writes nothing.

    Raises:
        TrainerError: as :func:`trainer.data.splits.split`; or the run began with other settings or data.
    """
    if not options.resume:
        drawn = split(dataset, options.split_rule, options.seed_of_split, options.holdout)
        return replace(drawn, outliers=outliers.samples)
    began = options.run.read_config()
    now, then = identity(options, dataset, outliers), _identity(began)
    other = [f"{key} {then.get(key)}, now {now.get(key)}" for key in {**then, **now} if then.get(key) != now.get(key)]
    if other:
        raise TrainerError(f"run '{options.run.folder}' began with another {'; '.join(other)}")
    return replace(relocate(run_split(options.run), dataset), outliers=outliers.samples)


def identity(options: FitOptions, dataset: Dataset, outliers: Dataset) -> dict[str, Any]:
    """Return what all processes of one fit, and a run and its resume, must have in common."""
    return _identity(_config(options, dataset, outliers))


def write_start(options: FitOptions, dataset: Dataset, outliers: Dataset, parts: Split, found: Audit | None) -> None:
    """Make the run folder whole or not at all; or bring that of a resumed run up to date."""
    run = options.run
    if options.resume:
        remove_partial(run.folder)
        began, version = run.read_config(), options.version
        kept = {
            "recipe": options.recipe.settings(),
            "version": version or began["version"],
            "split_sha256": split_digest(parts),
        }
        write_json(run.config, {"faces": framing_facts(parts.train), **began, **kept})
        write_split(run.split, dataset, parts)
        return
    # A kill in the middle must leave no folder that is neither new nor a run.
    with new_folder(run.folder) as folder:
        unfinished = Run(folder)
        unfinished.checkpoints.mkdir()
        config = _config(options, dataset, outliers) | {
            "faces": framing_facts(parts.train),
            "split_sha256": split_digest(parts),
        }
        write_json(unfinished.config, config | ({"audit": found.summary()} if found else {}))
        write_split(unfinished.split, dataset, parts)
        if found:
            write_audit(found, dataset, unfinished.audit, unfinished.audit_page)


def _config(options: FitOptions, dataset: Dataset, outliers: Dataset) -> dict[str, Any]:
    return {
        "recipe": options.recipe.settings(),
        "seed": options.seed,
        "split": options.split_rule,
        "split_seed": options.seed_of_split,
        "groups": options.groups,
        "holdout": list(options.holdout),
        "version": options.version or datetime.now(UTC).strftime("%Y.%m.%d"),
        "dataset": _dataset(options.roots, dataset),
        "outliers": _dataset(options.outliers, outliers),
        "backend": keras.backend.backend(),
        "library_versions": library_versions(),
        "commit": commit(),
    }


def _dataset(roots: Sequence[Path], dataset: Dataset) -> dict[str, Any]:
    return {
        "roots": [str(root) for root in roots],
        "fingerprint": dataset.fingerprint(),
        "counts": dataset.counts(),
        "left_out": len(dataset.rejected),
    }


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    """Return, as JSON reads it back, what a resumed run must keep: all but how long it goes on.

    A cosine decay is laid over the number of epochs, so there that must stay too.
    """
    recipe = config["recipe"]
    how = {**_DEFAULT_FRAMING, **recipe["preprocessing"]}
    steps = {**asdict(Reencoding()), **recipe["reencoding"]}
    recipe = {**BEFORE, **recipe, "preprocessing": how, "reencoding": steps}
    kept = {"recipe " + key: value for key, value in json.loads(json.dumps(recipe)).items()}
    if not recipe["cosine_decay"]:
        del kept["recipe epochs"]
    rules = {"groups": config.get("groups", "listed"), "holdout": config.get("holdout", [])}
    return {
        "data fingerprint": config["dataset"]["fingerprint"],
        "outliers": config.get("outliers", _dataset((), Dataset(())))["fingerprint"],
        "seed": config["seed"],
        "split": config["split"],
        "split seed": split_seed(config),
        **rules,
        **kept,
    }
