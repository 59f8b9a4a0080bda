"""Metrics of a model on labelled pictures, computed with the service's own engine."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from service.contract.spec import ModelSpec
from service.contract.verdict.calibration import fake_probability
from service.inference.engine import Engine
from trainer.common.errors import TrainerError
from trainer.common.progress import track
from trainer.common.stats import Interval, bootstrap, expected_calibration_error, tpr_at_fpr, wilson
from trainer.data.dataset import LABELS, Sample, is_fake
from trainer.data.tensors import tensor_batches


def check_classes(spec: ModelSpec) -> None:
    """Check that a model has the classes of the data.

    Raises:
        TrainerError: the classes are not ``real`` and ``fake``.
    """
    if set(spec.class_names) != set(LABELS) or spec.fake_class != "fake":
        raise TrainerError(
            f"model {spec.name} {spec.version} has the classes {', '.join(spec.class_names)} "
            f"(fake: {spec.fake_class}), the data has {', '.join(LABELS)}"
        )


def engine_logits(engine: Engine, samples: Sequence[Sample], description: str) -> NDArray[np.float32]:
    """Compute the logits of the samples with the service's engine: float32 ``[N, 2]``, in order."""
    batches = tensor_batches(samples, engine.spec.preprocessing, batch=32)
    total = -(-len(samples) // 32)
    return np.concatenate([engine.logits(batch) for batch in track(batches, description, total=total)])


def calibrated(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Return P(fake) with the model's own calibration: float64 ``[N]`` in [0, 1]."""
    return fake_probability(logits, spec.output_kind, spec.fake_index, spec.temperature)


def uncalibrated(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Return P(fake) without temperature scaling: float64 ``[N]`` in [0, 1]."""
    return fake_probability(logits, spec.output_kind, spec.fake_index)


def figures(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], threshold_real: float, threshold_fake: float
) -> dict[str, Any]:
    """Compute the metrics of one set of scores; ``fake`` is the positive class.

    ``accuracy``, ``precision``, ``recall``, ``f1`` and ``confusion_matrix`` (rows: true real, fake;
    columns: predicted real, fake) threshold P(fake) at 0.5, as published systems do. At the stored
    thresholds: ``verdicts`` (rows: true real, fake; columns: verdict real, uncertain, fake), the
    shares ``real_called_fake`` (false positive rate), ``fake_called_real`` and ``uncertain``, and
    ``balanced_accuracy``, the mean recall of both classes, where ``uncertain`` counts as wrong.
    ``tpr_at_fpr_01`` and ``tpr_at_fpr_005`` are the true positive rates at false positive rates of
    at most 1 % and 0.5 %. ``intervals`` holds 95 % intervals: Wilson intervals for shares, bootstrap
    intervals for the rest. A metric that needs both classes is None if one class is missing.
    """
    predicted_fake = p_fake >= 0.5
    has_both_classes = bool(truth.any() and not truth.all())
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted_fake, average="binary", zero_division=0.0
    )
    called_fake, called_real = p_fake >= threshold_fake, p_fake <= threshold_real
    verdicts = [
        [int((row & column).sum()) for column in (called_real & ~called_fake, ~called_fake & ~called_real, called_fake)]
        for row in (~truth, truth)
    ]
    basic_metrics: dict[str, Any] = {
        "real": int((~truth).sum()),
        "fake": int(truth.sum()),
        "accuracy": float(accuracy_score(truth, predicted_fake)),
        "precision": float(precision) if has_both_classes else None,
        "recall": float(recall) if truth.any() else None,
        "f1": float(f1) if has_both_classes else None,
        "confusion_matrix": confusion_matrix(truth, predicted_fake, labels=[False, True]).tolist(),
        "verdicts": verdicts,
        "real_called_fake": float(called_fake[~truth].mean()) if not truth.all() else None,
        "fake_called_real": float(called_real[truth].mean()) if truth.any() else None,
        "uncertain": float((~called_fake & ~called_real).mean()),
    }
    intervals = {
        "accuracy": wilson(int((predicted_fake == truth).sum()), len(truth)),
        "uncertain": wilson(verdicts[0][1] + verdicts[1][1], len(truth)),
    }
    if not truth.all():
        intervals["real_called_fake"] = wilson(verdicts[0][2], basic_metrics["real"])
    if truth.any():
        intervals["fake_called_real"] = wilson(verdicts[1][0], basic_metrics["fake"])
    two_class: dict[str, float | None] = dict.fromkeys(_TWO_CLASS_METRICS)
    if has_both_classes:
        two_class_metrics = partial(_two_class_metrics, threshold_real=threshold_real, threshold_fake=threshold_fake)
        values = dict(zip(_TWO_CLASS_METRICS, two_class_metrics(truth, p_fake), strict=True))
        resampled = dict(zip(_TWO_CLASS_METRICS, bootstrap(two_class_metrics, truth, p_fake), strict=True))
        intervals |= _two_class_intervals(values, resampled, basic_metrics["real"], basic_metrics["fake"])
        two_class |= values
    return basic_metrics | two_class | {"intervals": {key: list(interval) for key, interval in intervals.items()}}


_TWO_CLASS_METRICS = ("roc_auc", "average_precision", "balanced_accuracy", "tpr_at_fpr_01", "tpr_at_fpr_005", "ece")


def _two_class_metrics(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], threshold_real: float, threshold_fake: float
) -> tuple[float, ...]:
    balanced_accuracy = ((p_fake[~truth] <= threshold_real).mean() + (p_fake[truth] >= threshold_fake).mean()) / 2
    return (
        float(roc_auc_score(truth, p_fake)),
        float(average_precision_score(truth, p_fake)),
        float(balanced_accuracy),
        tpr_at_fpr(truth, p_fake, 0.01),
        tpr_at_fpr(truth, p_fake, 0.005),
        expected_calibration_error(truth, p_fake),
    )


def _two_class_intervals(
    values: dict[str, float], resampled: dict[str, Interval], real: int, fake: int
) -> dict[str, Interval]:
    """Return the intervals of :data:`_TWO_CLASS_METRICS` from their values and bootstrap intervals."""
    intervals = dict(resampled)
    for key in ("tpr_at_fpr_01", "tpr_at_fpr_005"):
        intervals[key] = wilson(round(values[key] * fake), fake)
    # The bootstrap interval of a perfect score has no width, and resampling biases the ECE upwards.
    perfect = wilson(min(real, fake), min(real, fake))[0]
    for key in ("roc_auc", "average_precision", "balanced_accuracy"):
        intervals[key] = (min(intervals[key][0], perfect), 1.0) if values[key] >= 1 else intervals[key]
    low, high = intervals["ece"]
    intervals["ece"] = (max(0.0, 2 * values["ece"] - high), max(values["ece"], 2 * values["ece"] - low))
    return intervals


def evaluation(samples: Sequence[Sample], p_fake: NDArray[np.float64], spec: ModelSpec) -> dict[str, Any]:
    """Compute :func:`figures` for all samples together (``pooled``) and for each of the ``sources``."""
    truth = is_fake(samples)
    sources = np.array([sample.source for sample in samples])
    thresholds = (spec.threshold_real, spec.threshold_fake)
    return {
        "pooled": figures(truth, p_fake, *thresholds),
        "sources": {
            str(source): figures(truth[sources == source], p_fake[sources == source], *thresholds)
            for source in sorted(set(sources))
        },
    }
