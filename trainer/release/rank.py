"""Rank: runs side by side by what a choice may rest on, their validation parts and sources that none of them saw.

A test part that a choice was made on is no test part any more, so it is not looked at here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.metrics import roc_auc_score

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.common.history import read_history
from trainer.common.run import Run
from trainer.data.dataset import Dataset, is_fake
from trainer.data.splits import run_split
from trainer.evaluation.assess import check_unseen
from trainer.evaluation.conditions import Condition
from trainer.evaluation.evaluate import calibrated, engine_logits
from trainer.evaluation.robustness import observe
from trainer.export.parity import check_origin
from trainer.recipes.run_config import RunConfig, read_run_config

CONDITIONS: Final = (
    Condition("tier", "clean"),
    Condition("JPEG quality", "JPEG 50", quality=50),
    Condition("scale", "half size", scale=0.5),
    Condition("scale", "double size", scale=2.0),
)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One run.

    Attributes:
        run: name of its folder.
        config: its configuration.
        minutes: its epochs took, together.
        areas: area under the ROC curve of the validation part, by condition.
        sources: the same of each source that holds both classes, mean over the conditions.
        reals: share of real faces not called fake, by source, of data that the run did not see.
        fakes: share of fakes not called real, likewise.
    """

    run: str
    config: RunConfig
    minutes: float
    areas: dict[str, float]
    sources: dict[str, float]
    reals: dict[str, float]
    fakes: dict[str, float]

    @property
    def mean_area(self) -> float:
        """What runs are ranked by."""
        return float(np.mean(list(self.areas.values())))


def rank(folders: Sequence[Path], elsewhere: Dataset | None) -> list[Ranked]:
    """Return the runs, best first.

    Args:
        folders: finished runs on the same data; those of another split have another validation part.
        elsewhere: pictures that no run saw, or None.

    Raises:
        TrainerError: a folder is no finished run, two runs saw different data or held out different sources, a run has
            no validation part, or has learned from pictures of ``elsewhere``.
    """
    runs = [Run(folder) for folder in folders]
    configs = [read_run_config(run) for run in runs]
    data = {(config.dataset.fingerprint, tuple(sorted(config.holdout))) for config in configs}
    if len(data) > 1:
        raise TrainerError(f"{len(runs)} runs saw {len(data)} different sets of pictures: they cannot be ranked")
    for run, config in zip(runs, configs, strict=True):
        if config.split == "as-published":
            raise TrainerError(f"'{run.folder}' has no validation part of its own (split 'as-published')")
        if elsewhere:
            check_unseen(run.folder, elsewhere)
    return sorted((_ranked(run, elsewhere) for run in runs), key=lambda found: -found.mean_area)


def _ranked(run: Run, elsewhere: Dataset | None) -> Ranked:
    if not run.metrics.exists():
        raise TrainerError(f"'{run.folder}' has not finished: there is no {run.metrics.name}")
    engine = Engine.load(run.onnx_model, EngineOptions("cpu"))
    config = read_run_config(run)
    check_origin(engine, config, run.onnx_model)
    samples = run_split(run).validation
    truth, sources = is_fake(samples), np.array([sample.source for sample in samples])
    p_fake = observe(engine, samples, CONDITIONS).p_fake
    mixed = [str(s) for s in sorted(set(sources)) if 0 < truth[sources == s].mean() < 1]
    rates: dict[bool, dict[str, float]] = {False: {}, True: {}}
    if elsewhere:
        away = calibrated(engine_logits(engine, elsewhere.samples, f"score with {run.folder.name}"), engine.spec)
        right = np.where(
            is_fake(elsewhere.samples), away > engine.spec.threshold_real, away < engine.spec.threshold_fake
        )
        names = [(sample.source, sample.label == "fake") for sample in elsewhere.samples]
        for source, fake in sorted(set(names)):
            rates[fake][source] = float(right[[name == (source, fake) for name in names]].mean())
    return Ranked(
        run.folder.name,
        config,
        sum(row["seconds"] for row in read_history(run.history)) / 60,
        {c.name: float(roc_auc_score(truth, p_fake[row])) for row, c in enumerate(CONDITIONS)},
        {s: float(np.mean([roc_auc_score(truth[sources == s], row[sources == s]) for row in p_fake])) for s in mixed},
        rates[False],
        rates[True],
    )


def cells(found: Ranked) -> dict[str, str]:
    """Write a run's figures, by the heading of their column; runs of other splits may have other sources."""
    config = found.config
    said = {
        "run": found.run,
        "recipe": config.recipe.name,
        "seed": str(config.seed),
        "split": str(config.seed_of_split),
        "kept epoch": f"{config.kept_epoch} of {config.epochs}",
        "minutes": f"{found.minutes:.0f}",
        "mean AUC": f"{found.mean_area:.4f}",
    }
    said |= {name: f"{area:.4f}" for name, area in (found.areas | found.sources).items()}
    said |= {f"{source}: real not called fake": f"{100 * rate:.1f} %" for source, rate in found.reals.items()}
    return said | {f"{source}: fake not called real": f"{100 * rate:.1f} %" for source, rate in found.fakes.items()}
