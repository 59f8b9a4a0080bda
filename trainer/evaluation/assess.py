"""Assessment of one model file on labelled pictures, with everything that a report shows."""

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
from trainer.evaluation.robustness import robustness, stratified_subset


@dataclass(frozen=True, slots=True)
class Assessment:
    """A model and its results on a dataset.

    Attributes:
        name: name and version of the model, unique among the compared models.
        engine: the loaded model.
        samples: the scored samples.
        p_fake: float64 ``[N]``, P(fake) with the model's own calibration.
        before: float64 ``[N]``, P(fake) before temperature scaling.
        result: content of ``metrics.json``.
        history: one row per epoch of the fit, if stored beside the model file; otherwise empty.
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
    """Load model files for an assessment under unique names.

    Raises:
        ModelFileError: a file is not a valid model.
        TrainerError: the classes of a model differ from those of the data, or a model is given twice.
    """
    models: dict[str, tuple[Path, Engine]] = {}
    for path in paths:
        engine = Engine.load(path, EngineOptions("cpu"))
        check_classes(engine.spec)
        name = f"{engine.spec.name} {engine.spec.version}"
        if name in models:
            name = f"{name} {engine.sha256[:6]}"
        if engine.sha256 in {loaded.sha256 for _, loaded in models.values()}:
            raise TrainerError(f"model '{path}' is given twice")
        models[name] = (path, engine)
    return models


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
        name: name of the model in the report.
        path: path of the model file; the history is read from its folder.
        engine: the loaded model.
        dataset: scanned pictures of one class or both.
        robust: number of pictures per source and class for the robustness metrics and for drawings; 0 to skip both.
        conditions: conditions of the robustness metrics.
    """
    samples = dataset.samples
    logits = engine_logits(engine, samples, f"score with {name}")
    p_fake, before = calibrated(logits, engine.spec), uncalibrated(logits, engine.spec)
    truth = is_fake(samples)
    has_both_classes = truth.any() and not truth.all()
    result = {
        "model": {"name": engine.spec.name, "version": engine.spec.version, "sha256": engine.sha256},
        "thresholds": {"real": engine.spec.threshold_real, "fake": engine.spec.threshold_fake},
        "data": {
            "fingerprint": dataset.fingerprint(),
            "counts": dataset.counts(),
            "left_out": len(dataset.rejected),
            # A different fingerprint does not rule out that the model was trained on some of these pictures.
            "same_as_training": dataset.fingerprint() == engine.spec.dataset_fingerprint,
        },
        **evaluation(samples, p_fake, engine.spec),
        "ece_before_calibration": expected_calibration_error(truth, before) if has_both_classes else None,
        "robustness": robustness(engine, stratified_subset(samples, robust), conditions) if robust else None,
        "drawings": on_drawings(engine, stratified_subset(samples, robust)) if robust else None,
    }
    return Assessment(name, engine, samples, p_fake, before, result, _history(path))


def exclude_seen(dataset: Dataset, runs: Sequence[Path]) -> Dataset:
    """Remove the pictures that the runs were trained, validated or calibrated on, and their near duplicates.

    Outliers that a run was trained on (neither real nor fake) are removed as well. The pictures of the runs are read
    again to find near duplicates; for a picture that no longer exists only exact duplicates are removed.

    Raises:
        TrainerError: a run has no ``split.csv``, or no picture is left.
    """
    seen = [sample for run in runs for sample in _seen(run / "split.csv" if run.is_dir() else run)]
    known = {sample.sha256 for sample in seen}
    readable = [
        s
        for s in track(read_samples(seen), "pictures that the runs have seen", total=len(seen))
        if isinstance(s, Sample)
    ]
    size = len(dataset.samples)
    cluster_ids = clusters(near_duplicates([*dataset.samples, *readable]), size + len(readable))
    seen_clusters = set(cluster_ids[size:].tolist())
    kept = tuple(
        sample
        for sample, cluster in zip(dataset.samples, cluster_ids[:size].tolist(), strict=True)
        if sample.sha256 not in known and cluster not in seen_clusters
    )
    if not kept:
        raise TrainerError(f"all {size} pictures were used by the runs {', '.join(map(str, runs))}: none is left")
    return Dataset(kept, dataset.rejected, dataset.roots)


def check_unseen(run: Path, dataset: Dataset) -> None:
    """Check that a run has not used any picture of a dataset.

    Compares bytes; :func:`exclude_seen` also recognises near duplicates.

    Args:
        run: folder of the run, or its ``split.csv``.
        dataset: pictures that should be new to the run.

    Raises:
        TrainerError: the run's training, validation or calibration part or its outliers hold a picture of the data.
    """
    known = {sample.sha256 for sample in _seen(run / "split.csv" if run.is_dir() else run)}
    seen_sources = sorted({sample.source for sample in dataset.samples if sample.sha256 in known})
    if seen_sources:
        raise TrainerError(
            f"run '{run}' was trained or calibrated on pictures of {', '.join(seen_sources)}: "
            "name data that it has not seen"
        )


def _seen(path: Path) -> list[Sample]:
    split = read_split(path)
    samples = [sample for name in PARTS[:3] for sample in split.part(name)] + list(split.outliers)
    if not samples:
        raise TrainerError(f"'{path}' lists no pictures for training, validation or calibration, and no outliers")
    return samples


def _history(path: Path) -> list[dict[str, Any]]:
    """Read the history from the run's CSV file or the published model's metrics; empty if missing or invalid."""
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
    required_keys = {"epoch", "accuracy", "loss", "val_accuracy", "val_loss"}
    return (
        rows
        if isinstance(rows, list) and all(isinstance(row, dict) and required_keys <= set(row) for row in rows)
        else []
    )
