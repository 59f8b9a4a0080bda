"""Start of a fit: the split, the settings that a resume must share, and the run folder."""

import json
from dataclasses import replace
from typing import Any

from trainer.audit.audit import Audit
from trainer.common.errors import TrainerError
from trainer.common.files import new_folder, remove_partial
from trainer.common.run import Run
from trainer.data.dataset import Dataset
from trainer.data.face_framing import framing_facts
from trainer.data.splits import Split, relocate, run_split, split, split_digest, write_split
from trainer.recipes.run_config import RunConfig, read_run_config, write_run_config
from trainer.report.audit_page import write_audit
from trainer.training.fit_options import FitOptions


def split_of(options: FitOptions, config: RunConfig, dataset: Dataset, outliers: Dataset) -> Split:
    """Return the split of a new or resumed run, without writing anything.

    Args:
        options: options of the fit.
        config: configuration of a new run with these options.
        dataset: pictures of the data folders, grouped.
        outliers: pictures that are neither real nor fake.

    Raises:
        TrainerError: see :func:`trainer.data.splits.split`; or the run was started with other settings or data.
    """
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
    options: FitOptions,
    config: RunConfig,
    dataset: Dataset,
    parts: Split,
    audit_result: Audit | None,
) -> None:
    """Create the run folder atomically, or update the folder of a resumed run."""
    run = options.run
    if options.resume:
        remove_partial(run.folder)
        saved = read_run_config(run)
        resumed = replace(
            saved,
            recipe=options.recipe,
            version=options.version or saved.version,
            faces=saved.faces or framing_facts(parts.train),
            split_sha256=split_digest(parts),
        )
        write_run_config(run, resumed)
        write_split(run.split, dataset, parts)
        return
    # A kill must not leave an incomplete run folder.
    with new_folder(run.folder) as folder:
        unfinished = Run(folder)
        unfinished.checkpoints.mkdir()
        started = replace(
            config,
            faces=framing_facts(parts.train),
            split_sha256=split_digest(parts),
            audit=audit_result.summary() if audit_result else None,
        )
        write_run_config(unfinished, started)
        write_split(unfinished.split, dataset, parts)
        if audit_result:
            write_audit(audit_result, dataset, unfinished.audit, unfinished.audit_page)
