"""Ranking of runs by their validation parts, with results on sources that no run has seen.

The test parts are not used: a test part that decides a choice is no longer a valid test part.
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
    """A run with its validation results.

    Attributes:
        run: name of the run's folder.
        config: configuration of the run.
        minutes: total duration of the epochs.
        areas: ROC AUC on the validation part, by condition.
        sources: ROC AUC of each source with both classes, mean over the conditions.
        reals: share of reals not called fake, by source, on data that the run has not seen.
        fakes: share of fakes not called real, by source, on data that the run has not seen.
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
        """Mean ROC AUC over the conditions; the ranking criterion."""
        return float(np.mean(list(self.areas.values())))


def rank(folders: Sequence[Path], elsewhere: Dataset | None) -> list[Ranked]:
    """Rank runs, best first.

    Args:
        folders: finished runs on the same data; runs with different splits have different validation parts.
        elsewhere: pictures that no run has seen, or None.

    Raises:
        TrainerError: a folder is not a finished run, the runs differ in data or held-out sources, a run has no
            validation part, or a run has used pictures of ``elsewhere``.
    """
    runs = [Run(folder) for folder in folders]
    configs = [read_run_config(run) for run in runs]
    data = {(config.dataset.fingerprint, tuple(sorted(config.holdout))) for config in configs}
    if len(data) > 1:
        raise TrainerError(
            f"the {len(runs)} runs use {len(data)} different sets of pictures: rank only runs on the same data"
        )
    for run, config in zip(runs, configs, strict=True):
        if config.split == "as-published":
            raise TrainerError(
                f"'{run.folder}' has no separate validation part (split 'as-published'): it cannot be ranked"
            )
        if elsewhere:
            check_unseen(run.folder, elsewhere)
    results = [_ranked(run, config, elsewhere) for run, config in zip(runs, configs, strict=True)]
    return sorted(results, key=lambda ranked: -ranked.mean_area)


def _ranked(run: Run, config: RunConfig, elsewhere: Dataset | None) -> Ranked:
    if not run.metrics.exists():
        raise TrainerError(f"'{run.folder}' is not finished: {run.metrics.name} is missing")
    engine = Engine.load(run.onnx_model, EngineOptions("cpu"))
    check_origin(engine, config, run.onnx_model)
    samples = run_split(run).validation
    truth, sources = is_fake(samples), np.array([sample.source for sample in samples])
    p_fake = observe(engine, samples, CONDITIONS).p_fake
    two_class_sources = [str(s) for s in sorted(set(sources)) if 0 < truth[sources == s].mean() < 1]
    rates = _unseen_rates(engine, elsewhere, run.folder.name) if elsewhere else {"real": {}, "fake": {}}
    return Ranked(
        run=run.folder.name,
        config=config,
        minutes=sum(row["seconds"] for row in read_history(run.history)) / 60,
        areas={c.name: float(roc_auc_score(truth, p_fake[row])) for row, c in enumerate(CONDITIONS)},
        sources={
            s: float(np.mean([roc_auc_score(truth[sources == s], row[sources == s]) for row in p_fake]))
            for s in two_class_sources
        },
        reals=rates["real"],
        fakes=rates["fake"],
    )


def _unseen_rates(engine: Engine, elsewhere: Dataset, name: str) -> dict[str, dict[str, float]]:
    """Return the share of pictures not called the opposite class, by class and source."""
    p_fake = calibrated(engine_logits(engine, elsewhere.samples, f"score with {name}"), engine.spec)
    correct = np.where(
        is_fake(elsewhere.samples), p_fake > engine.spec.threshold_real, p_fake < engine.spec.threshold_fake
    )
    strata = [(sample.label, sample.source) for sample in elsewhere.samples]
    rates: dict[str, dict[str, float]] = {"real": {}, "fake": {}}
    for label, source in sorted(set(strata)):
        rates[label][source] = float(correct[[stratum == (label, source) for stratum in strata]].mean())
    return rates


def cells(ranked: Ranked) -> dict[str, str]:
    """Format a run's results by column heading; runs with different splits may have different sources."""
    config = ranked.config
    row = {
        "run": ranked.run,
        "recipe": config.recipe.name,
        "seed": str(config.seed),
        "split": str(config.seed_of_split),
        "kept epoch": f"{config.kept_epoch} of {config.epochs}",
        "minutes": f"{ranked.minutes:.0f}",
        "mean AUC": f"{ranked.mean_area:.4f}",
    }
    row |= {name: f"{area:.4f}" for name, area in (ranked.areas | ranked.sources).items()}
    row |= {f"{source}: real not called fake": f"{100 * rate:.1f} %" for source, rate in ranked.reals.items()}
    return row | {f"{source}: fake not called real": f"{100 * rate:.1f} %" for source, rate in ranked.fakes.items()}
