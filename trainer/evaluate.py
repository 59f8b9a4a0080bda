"""Evaluation: a served model against labelled pictures, through the service's own engine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support, roc_auc_score

from service.contract.spec import ModelSpec
from service.contract.verdict import fake_probability
from service.engine import Engine
from trainer.dataset import Sample, is_fake
from trainer.progress import track
from trainer.tensors import tensor_batches


def engine_logits(engine: Engine, samples: Sequence[Sample], description: str) -> NDArray[np.float32]:
    """Return float32 ``[N, 2]`` logits of the samples, in order, through the service's engine."""
    batches = tensor_batches(samples, engine.spec.preprocessing, batch=32)
    total = -(-len(samples) // 32)
    return np.concatenate([engine.logits(batch) for batch in track(batches, description, total=total)])


def calibrated(logits: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float64]:
    """Return P(fake) by the model's own calibration: float64 ``[N]`` in [0, 1]."""
    return fake_probability(logits, spec.output_kind, spec.fake_index, spec.temperature)


def figures(
    truth: NDArray[np.bool_], p_fake: NDArray[np.float64], threshold_real: float, threshold_fake: float
) -> dict[str, Any]:
    """Return the figures of one set of scores; ``fake`` is the positive class.

    ``accuracy``, ``precision``, ``recall``, ``f1`` and ``confusion_matrix`` (rows: truth real,
    fake; columns: called real, fake) cut at P(fake) = .5, as published systems do.
    ``real_called_fake``, ``fake_called_real`` and ``uncertain`` are shares at the stored
    thresholds. What a set with one class cannot tell is None.
    """
    called = p_fake >= 0.5
    both = bool(truth.any() and not truth.all())
    precision, recall, f1, _ = precision_recall_fscore_support(truth, called, average="binary", zero_division=0.0)
    flagged, passed = p_fake >= threshold_fake, p_fake <= threshold_real
    return {
        "real": int((~truth).sum()),
        "fake": int(truth.sum()),
        "accuracy": float(accuracy_score(truth, called)),
        "precision": float(precision) if both else None,
        "recall": float(recall) if truth.any() else None,
        "f1": float(f1) if both else None,
        "roc_auc": float(roc_auc_score(truth, p_fake)) if both else None,
        "confusion_matrix": confusion_matrix(truth, called, labels=[False, True]).tolist(),
        "real_called_fake": float(flagged[~truth].mean()) if not truth.all() else None,
        "fake_called_real": float(passed[truth].mean()) if truth.any() else None,
        "uncertain": float((~flagged & ~passed).mean()),
    }


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


def evaluate(engine: Engine, samples: Sequence[Sample]) -> dict[str, Any]:
    """Score samples with a model file and return its :func:`evaluation`."""
    return evaluation(samples, calibrated(engine_logits(engine, samples, "score"), engine.spec), engine.spec)
