"""Assess: one model file against labelled pictures, with everything that a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.common.history import read_history
from trainer.common.progress import track
from trainer.common.run import HISTORY, METRICS, read_json
from trainer.common.stats import expected_calibration_error
from trainer.data.dataset import Dataset, Sample, is_fake, read_samples
from trainer.data.duplicates import clusters, near_duplicates
from trainer.data.splits import PARTS, read_split
from trainer.evaluation.conditions import CONDITIONS, Condition
from trainer.evaluation.evaluate import calibrated, check_classes, engine_logits, evaluation, uncalibrated
from trainer.evaluation.on_drawings import on_drawings
from trainer.evaluation.robustness import robustness, some


@dataclass(frozen=True, slots=True)
class Assessment:
    """A model and how it did.

    Attributes:
        name: name and version of the model, made unique among those compared.
        engine: the model, loaded.
        samples: what was scored.
        p_fake: float64 ``[N]``, by the model's own calibration.
        before: the same before any temperature.
        result: what ``metrics.json`` holds.
        history: rows of the fit, where they lie beside the model file.
    """

    name: str
    engine: Engine
    samples: tuple[Sample, ...]
    p_fake: NDArray[np.float64]
    before: NDArray[np.float64]
    result: dict[str, Any]
    history: list[dict[str, Any]]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Bool ``[N]``, True for fake."""
        return is_fake(self.samples)


def load_models(paths: Sequence[Path]) -> dict[str, tuple[Path, Engine]]:
    """Load model files for an assessment, under names that tell them apart.

    Raises:
        ModelFileError: a file is refused.
        TrainerError: a model's classes are not the data's, or one is given twice.
    """
    found: dict[str, tuple[Path, Engine]] = {}
    for path in paths:
        engine = Engine.load(path, EngineOptions("cpu"))
        check_classes(engine.spec)
        name = f"{engine.spec.name} {engine.spec.version}"
        if name in found:
            name = f"{name} {engine.sha256[:6]}"
        if engine.sha256 in {other.sha256 for _, other in found.values()}:
            raise TrainerError(f"model '{path}' is given twice")
        found[name] = (path, engine)
    return found


def assess(
    name: str,
    path: Path,
    engine: Engine,
    dataset: Dataset,
    robust: int,
    conditions: Sequence[Condition] = CONDITIONS,
) -> Assessment:
    """Score a dataset with one model.

    Args:
        name: for the report.
        path: of the model file; its history is looked for beside it.
        engine: the same, loaded.
        dataset: scanned pictures, of one class or both.
        robust: pictures of each source and class for the robustness figures and for drawings; 0 for none.
        conditions: of those figures.
    """
    samples = dataset.samples
    logits = engine_logits(engine, samples, f"score with {name}")
    p_fake, before = calibrated(logits, engine.spec), uncalibrated(logits, engine.spec)
    truth = is_fake(samples)
    both = truth.any() and not truth.all()
    result = {
        "model": {"name": engine.spec.name, "version": engine.spec.version, "sha256": engine.sha256},
        "thresholds": {"real": engine.spec.threshold_real, "fake": engine.spec.threshold_fake},
        "data": {
            "fingerprint": dataset.fingerprint(),
            "counts": dataset.counts(),
            "left_out": len(dataset.rejected),
            # The model may have learned from some of these very pictures; this says when it surely did.
            "same_as_training": dataset.fingerprint() == engine.spec.dataset_fingerprint,
        },
        **evaluation(samples, p_fake, engine.spec),
        "ece_before_calibration": expected_calibration_error(truth, before) if both else None,
        "robustness": robustness(engine, some(samples, robust), conditions) if robust else None,
        "drawings": on_drawings(engine, some(samples, robust)) if robust else None,
    }
    return Assessment(name, engine, samples, p_fake, before, result, _history(path))


def without(dataset: Dataset, runs: Sequence[Path]) -> Dataset:
    """Leave out every picture that one of these runs was fitted, chosen or calibrated on, and every near duplicate.

    What a run was fitted on as neither real nor fake is such a picture too.
    The runs' own pictures are read again for that; one that is gone is known by its bytes alone.

    Raises:
        TrainerError: a run has no ``split.csv``, or nothing is left.
    """
    seen = [sample for run in runs for sample in _seen(run / "split.csv" if run.is_dir() else run)]
    known = {sample.sha256 for sample in seen}
    there = [
        s
        for s in track(read_samples(seen), "pictures that the runs have seen", total=len(seen))
        if isinstance(s, Sample)
    ]
    mine = len(dataset.samples)
    together = clusters(near_duplicates([*dataset.samples, *there]), mine + len(there))
    resembling = set(together[mine:].tolist())
    kept = tuple(
        sample
        for sample, cluster in zip(dataset.samples, together[:mine].tolist(), strict=True)
        if sample.sha256 not in known and cluster not in resembling
    )
    if not kept:
        raise TrainerError(f"all {mine} pictures stand in the runs {', '.join(map(str, runs))}")
    return Dataset(kept, dataset.rejected, dataset.roots)


def check_unseen(run: Path, dataset: Dataset) -> None:
    """Refuse data that a run has learned from, byte for byte; :func:`without` also knows near duplicates.

    Args:
        run: its folder, or its ``split.csv``.
        dataset: said to be new to it.

    Raises:
        TrainerError: pictures of it stand in the run's training, validation or calibration part.
    """
    known = {sample.sha256 for sample in _seen(run / "split.csv" if run.is_dir() else run)}
    old = sorted({sample.source for sample in dataset.samples if sample.sha256 in known})
    if old:
        raise TrainerError(f"'{run}' has learned from pictures of {', '.join(old)}: they are not from elsewhere")


def _seen(path: Path) -> list[Sample]:
    parts = read_split(path)
    chosen = [sample for part in PARTS[:3] for sample in parts.part(part)] + list(parts.outliers)
    if not chosen:
        raise TrainerError(f"'{path}' names no pictures that a run has learned from")
    return chosen


def _history(path: Path) -> list[dict[str, Any]]:
    """A run keeps its history as CSV, a published model inside its metrics; what is not one is none."""
    try:
        rows = read_history(path.parent / HISTORY)
    except TrainerError:
        rows = []
    metrics = path.parent / METRICS
    if not rows and metrics.is_file():
        try:
            rows = read_json(metrics, "").get("history", [])
        except TrainerError:
            return []
    wanted = {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
    return rows if isinstance(rows, list) and all(isinstance(row, dict) and wanted <= set(row) for row in rows) else []
