"""Evaluation: a served model against labelled pictures, through the service's own engine."""

from collections.abc import Sequence
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
    """Refuse a model that answers another question than the data asks.

    Raises:
        TrainerError: its classes are not ``real`` and ``fake``.
    """
    if set(spec.class_names) != set(LABELS) or spec.fake_class != "fake":
        raise TrainerError(
            f"model {spec.name} {spec.version} has the classes {', '.join(spec.class_names)} "
            f"(fake: {spec.fake_class}), the data has {', '.join(LABELS)}"
        )


def engine_logits(engine: Engine, samples: Sequence[Sample], description: str) -> NDArray[np.float32]:
    """Return float32 ``[N, 2]`` logits of the samples, in order, through the service's engine."""
    batches = tensor_batches(samples, engine.spec.preprocessing, batch=32)
    total = -(-len(samples) // 32)
    return np.concatenate([engine.logits(batch) for batch in track(batches, description, total=total)])


def calibrated(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Return P(fake) by the model's own calibration: float64 ``[N]`` in [0, 1]."""
    return fake_probability(logits, spec.output_kind, spec.fake_index, spec.temperature)


def uncalibrated(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Return P(fake) as the network gives it, before any temperature: float64 ``[N]`` in [0, 1]."""
    return fake_probability(logits, spec.output_kind, spec.fake_index)


def figures(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], threshold_real: float, threshold_fake: float
) -> dict[str, Any]:
    """Return the figures of one set of scores; ``fake`` is the positive class.

    ``accuracy``, ``precision``, ``recall``, ``f1`` and ``confusion_matrix`` (rows: truth real,
    fake; columns: called real, fake) cut at P(fake) = .5, as published systems do. At the stored
    thresholds: ``verdicts`` (rows: truth real, fake; columns: called real, uncertain, fake), the
    shares ``real_called_fake``, ``fake_called_real`` and ``uncertain``, and ``balanced_accuracy``,
    the mean over both classes of the share that is called by its name, so that ``uncertain`` is not
    right. ``tpr_at_fpr_01`` and ``tpr_at_fpr_005`` are the fakes found where at most 1 and .5 % of
    the reals are flagged. ``intervals`` holds 95 % intervals: Wilson's for shares, the bootstrap's
    for the rest. What a set with one class cannot tell is None.
    """
    called = p_fake >= 0.5
    both = bool(truth.any() and not truth.all())
    precision, recall, f1, _ = precision_recall_fscore_support(truth, called, average="binary", zero_division=0.0)
    flagged, passed = p_fake >= threshold_fake, p_fake <= threshold_real
    verdicts = [
        [int((row & column).sum()) for column in (passed & ~flagged, ~flagged & ~passed, flagged)]
        for row in (~truth, truth)
    ]
    found: dict[str, Any] = {
        "real": int((~truth).sum()),
        "fake": int(truth.sum()),
        "accuracy": float(accuracy_score(truth, called)),
        "precision": float(precision) if both else None,
        "recall": float(recall) if truth.any() else None,
        "f1": float(f1) if both else None,
        "confusion_matrix": confusion_matrix(truth, called, labels=[False, True]).tolist(),
        "verdicts": verdicts,
        "real_called_fake": float(flagged[~truth].mean()) if not truth.all() else None,
        "fake_called_real": float(passed[truth].mean()) if truth.any() else None,
        "uncertain": float((~flagged & ~passed).mean()),
    }
    ranked = (
        dict.fromkeys(_RANKED)
        if not both
        else dict(zip(_RANKED, _ranked(truth, p_fake, threshold_real, threshold_fake), strict=True))
    )
    return found | ranked | {"intervals": _intervals(truth, p_fake, threshold_real, threshold_fake, verdicts)}


_RANKED = ("roc_auc", "average_precision", "balanced_accuracy", "tpr_at_fpr_01", "tpr_at_fpr_005", "ece")


def _ranked(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], threshold_real: float, threshold_fake: float
) -> tuple[float, ...]:
    named = ((p_fake[~truth] <= threshold_real).mean() + (p_fake[truth] >= threshold_fake).mean()) / 2
    return (
        float(roc_auc_score(truth, p_fake)),
        float(average_precision_score(truth, p_fake)),
        float(named),
        tpr_at_fpr(truth, p_fake, 0.01),
        tpr_at_fpr(truth, p_fake, 0.005),
        expected_calibration_error(truth, p_fake),
    )


def _intervals(
    truth: NDArray[np.bool_],
    p_fake: NDArray[np.float64],
    threshold_real: float,
    threshold_fake: float,
    verdicts: list[list[int]],
) -> dict[str, list[float]]:
    real, fake = map(sum, verdicts)
    right = int(((p_fake >= 0.5) == truth).sum())
    found: dict[str, Interval] = {
        "accuracy": wilson(right, len(truth)),
        "uncertain": wilson(verdicts[0][1] + verdicts[1][1], len(truth)),
    }
    if real:
        found["real_called_fake"] = wilson(verdicts[0][2], real)
    if fake:
        found["fake_called_real"] = wilson(verdicts[1][0], fake)
    if real and fake:
        resampled = bootstrap(lambda t, p: _ranked(t, p, threshold_real, threshold_fake), truth, p_fake)
        found |= dict(zip(_RANKED, resampled, strict=True))
        values = dict(zip(_RANKED, _ranked(truth, p_fake, threshold_real, threshold_fake), strict=True))
        for key in ("tpr_at_fpr_01", "tpr_at_fpr_005"):
            found[key] = wilson(round(values[key] * fake), fake)
        # Resampling cannot tell how much a faultless set leaves open, and always raises the ECE.
        perfect = wilson(min(real, fake), min(real, fake))[0]
        for key in ("roc_auc", "average_precision", "balanced_accuracy"):
            found[key] = (min(found[key][0], perfect), 1.0) if values[key] >= 1 else found[key]
        low, high = found["ece"]
        found["ece"] = (max(0.0, 2 * values["ece"] - high), max(values["ece"], 2 * values["ece"] - low))
    return {key: list(interval) for key, interval in found.items()}


def evaluation(samples: Sequence[Sample], p_fake: NDArray[np.float64], spec: ModelSpec) -> dict[str, Any]:
    """Return :func:`figures` for all samples together (``pooled``) and for each of the ``sources``."""
    truth = is_fake(samples)
    sources = np.array([sample.source for sample in samples])
    cut = (spec.threshold_real, spec.threshold_fake)
    return {
        "pooled": figures(truth, p_fake, *cut),
        "sources": {
            str(source): figures(truth[sources == source], p_fake[sources == source], *cut)
            for source in sorted(set(sources))
        },
    }
