"""Score: a graph's calibration and test figures, through the service's own engine, once."""

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

_SUMMARY = ("accuracy", "roc_auc", "real_called_fake", "fake_called_real", "uncertain", "ece")


@dataclass(frozen=True, slots=True)
class Scored:
    """A graph with its calibration.

    Attributes:
        calibration: of the calibration part, and of the validation part where no epoch was chosen on it; none where
            nothing was kept for it.
        spec: what the model file will say.
        test: figures of the test part.
        holdout: of the sources held out, or None.
        truth: bool ``[N]`` of the test part, True for fake.
        p_fake: float64 ``[N]``, calibrated.
        before: float64 ``[N]``, as the network gives it.
    """

    calibration: Calibration
    spec: ModelSpec
    test: dict[str, Any]
    holdout: dict[str, Any] | None
    truth: NDArray[np.bool_]
    p_fake: NDArray[np.float64]
    before: NDArray[np.float64]


def score(graph: onnx.ModelProto, config: RunConfig, parts: Split, precision: Precision = "float32") -> Scored:
    """Calibrate a graph, and score the test part and the sources held out.

    Args:
        graph: uint8 images to logits.
        config: of the run.
        parts: the run's split.
        precision: of the graph.
    """
    engine = Engine.from_bytes(
        with_metadata(graph, build_spec(config, UNCALIBRATED, {}, precision)), EngineOptions("cpu")
    )
    calibration = _calibration(engine, _kept(config, parts))
    spec = build_spec(config, calibration, {}, precision)
    logits = engine_logits(engine, parts.test, "test")
    p_fake, before = calibrated(logits, spec), uncalibrated(logits, spec)
    test, truth = evaluation(parts.test, p_fake, spec), is_fake(parts.test)
    summary = {f"test_{key}": test["pooled"][key] for key in _SUMMARY} | {
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


def _kept(config: RunConfig, parts: Split) -> tuple[Sample, ...]:
    """Return the pictures that no epoch was chosen on: the validation part too, where the last one is kept anyway."""
    if not parts.calibration or config.recipe.select != "last":
        return parts.calibration
    return (*parts.validation, *parts.calibration)


def _calibration(engine: Engine, samples: tuple[Sample, ...]) -> Calibration:
    if not samples:
        return UNCALIBRATED
    logits = engine_logits(engine, samples, "calibrate")
    sources = [sample.source for sample in samples]
    return calibrate(logits, is_fake(samples), engine.spec.output_kind, engine.spec.fake_index, sources)
