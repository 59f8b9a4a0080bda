"""Calibration and test metrics of a graph, computed once with the service's own engine."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from service.contract.spec import ModelSpec, Precision
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.stats import expected_calibration_error
from trainer.data.dataset import Sample, is_fake
from trainer.data.splits import Split
from trainer.evaluation.calibrate import UNCALIBRATED, Calibration, calibrate
from trainer.evaluation.evaluate import calibrated, engine_logits, evaluation, uncalibrated
from trainer.export.export import build_spec, with_metadata
from trainer.recipes.run_config import RunConfig

_SUMMARY_KEYS = ("accuracy", "roc_auc", "real_called_fake", "fake_called_real", "uncertain", "ece")


@dataclass(frozen=True, slots=True)
class Scored:
    """Calibration and metrics of a graph.

    Attributes:
        calibration: fitted on the calibration part, and on the validation part if no epoch was chosen on it;
            ``UNCALIBRATED`` if the split has no calibration part.
        spec: specification for the model file.
        test: metrics on the test part.
        holdout: metrics on the held-out sources, or None.
        truth: bool ``[N]`` of the test part, True for fake.
        p_fake: float64 ``[N]``, calibrated P(fake) on the test part.
        before: float64 ``[N]``, P(fake) on the test part before temperature scaling.
    """

    calibration: Calibration
    spec: ModelSpec
    test: dict[str, Any]
    holdout: dict[str, Any] | None
    truth: NDArray[np.bool_]
    p_fake: NDArray[np.float64]
    before: NDArray[np.float64]


def score(graph: onnx.ModelProto, config: RunConfig, parts: Split, precision: Precision = "float32") -> Scored:
    """Calibrate a graph, then score the test part and the held-out sources.

    Args:
        graph: ONNX graph from uint8 images to logits.
        config: configuration of the run.
        parts: split of the run.
        precision: precision of the graph.
    """
    engine = Engine.from_bytes(
        with_metadata(graph, build_spec(config, UNCALIBRATED, {}, precision)), EngineOptions("cpu")
    )
    calibration = _calibration(engine, _calibration_samples(config, parts))
    spec = build_spec(config, calibration, {}, precision)
    logits = engine_logits(engine, parts.test, "test")
    p_fake, before = calibrated(logits, spec), uncalibrated(logits, spec)
    test, truth = evaluation(parts.test, p_fake, spec), is_fake(parts.test)
    summary = {f"test_{key}": test["pooled"][key] for key in _SUMMARY_KEYS} | {
        "test_ece_before_calibration": expected_calibration_error(truth, before),
        "epochs": config.epochs,
        "kept_epoch": config.kept_epoch,
        "cheat_verdict": (config.audit or {}).get("verdict"),
        "cheat_score_of_files": (config.audit or {}).get("cheat_score"),
        "cheat_score_of_training_tensors": (config.after_preprocessing or {}).get("weighted", {}).get("score"),
    }
    spec = build_spec(config, calibration, summary, precision)
    return Scored(calibration, spec, test, _holdout(engine, parts, spec), truth, p_fake, before)


def _holdout(engine: Engine, parts: Split, spec: ModelSpec) -> dict[str, Any] | None:
    if not parts.holdout:
        return None
    return evaluation(parts.holdout, calibrated(engine_logits(engine, parts.holdout, "held out"), spec), spec)


def _calibration_samples(config: RunConfig, parts: Split) -> tuple[Sample, ...]:
    """Return the calibration part, and the validation part too if no epoch was chosen on it (``select="last"``)."""
    if not parts.calibration or config.recipe.select != "last":
        return parts.calibration
    return (*parts.validation, *parts.calibration)


def _calibration(engine: Engine, samples: tuple[Sample, ...]) -> Calibration:
    if not samples:
        return UNCALIBRATED
    logits = engine_logits(engine, samples, "calibrate")
    sources = [sample.source for sample in samples]
    return calibrate(logits, is_fake(samples), engine.spec.output_kind, engine.spec.fake_index, sources)
