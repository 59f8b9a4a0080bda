"""Reduction of a run's model to a lower precision, with calibration, test and timing against float32."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import onnx

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, folder_lock, write_json
from trainer.common.run import Run, read_json
from trainer.data.splits import Split, run_split
from trainer.data.tensors import load_sample
from trainer.evaluation.cost import costs
from trainer.evaluation.evaluate import calibrated, engine_logits
from trainer.export.evidence_output import without_evidence
from trainer.export.export import with_metadata
from trainer.export.precision import to_float16, to_int8
from trainer.export.run_scores import score
from trainer.recipes.run_config import read_run_config

Reduced = Literal["int8", "float16"]
_CALIBRATION_PICTURES: Final = 256


@dataclass(frozen=True, slots=True)
class Reduction:
    """Comparison of a lower precision with float32, on the run's test part and on one core of this machine.

    Attributes:
        auc: area under the ROC curve; None if the test part holds only one class.
        float32_auc: area under the ROC curve of the float32 model.
        verdicts_changed: share of verdicts that differ from those of the float32 model.
        speedup: speed relative to the float32 model.
        milliseconds: milliseconds per face, without decoding.
        megabytes: size of the model file.
        float32_megabytes: size of the float32 model file.
    """

    auc: float | None
    float32_auc: float | None
    verdicts_changed: float
    speedup: float
    milliseconds: float
    megabytes: float
    float32_megabytes: float


def reduce_run(run: Run, precision: Reduced) -> Reduction:
    """Write ``RUN/model.PRECISION.onnx`` and its metrics, ``RUN/metrics.PRECISION.json``.

    Temperature and thresholds are recalibrated on the calibration pictures of the run, and the test part is scored
    once.

    Args:
        run: finished run.
        precision: precision of the new model.

    Raises:
        TrainerError: the run has not finished.
        OSError: a picture of the run cannot be read.
    """
    with folder_lock(run.folder):
        return _reduce(run, precision)


def _reduce(run: Run, precision: Reduced) -> Reduction:
    config, parts = read_run_config(run), run_split(run)
    if not run.metrics.exists() or not run.onnx_model.exists():
        raise TrainerError(
            f"'{run.folder}' has not finished: precision '{precision}' needs its metrics.json and model.onnx"
        )
    content = run.onnx_model.read_bytes()
    float32_engine = Engine.from_bytes(content, EngineOptions("cpu"))
    graph = without_evidence(onnx.load_from_string(content))
    reduced_graph = (
        to_int8(graph, _calibration_pictures(float32_engine, parts, config.seed))
        if precision == "int8"
        else to_float16(graph)
    )
    scored = score(reduced_graph, config, parts, precision)
    reduced_content = with_metadata(reduced_graph, scored.spec)
    engine = Engine.from_bytes(reduced_content, EngineOptions("cpu"))
    float32_p_fake = calibrated(engine_logits(float32_engine, parts.test, "test, float32"), float32_engine.spec)
    p_fake = scored.p_fake
    changed = (float32_p_fake >= float32_engine.spec.threshold_fake) != (p_fake >= engine.spec.threshold_fake)
    changed |= (float32_p_fake <= float32_engine.spec.threshold_real) != (p_fake <= engine.spec.threshold_real)
    cost, float32_cost = costs([reduced_content, content])
    saved = read_json(run.metrics, f"'{run.folder}' is damaged")
    reduction = Reduction(
        auc=scored.test["pooled"]["roc_auc"],
        float32_auc=saved["test"]["pooled"]["roc_auc"],
        verdicts_changed=float(changed.mean()),
        speedup=float32_cost.milliseconds / cost.milliseconds,
        milliseconds=cost.milliseconds,
        megabytes=cost.megabytes,
        float32_megabytes=float32_cost.megabytes,
    )
    figures: dict[str, Any] = {
        **saved,
        "calibration": asdict(scored.calibration),
        "summary": scored.spec.metrics,
        "test": scored.test,
        "holdout": scored.holdout,
        "against_float32": asdict(reduction),
    }
    # A kill in between must not leave the old metrics next to the new model.
    run.metrics_at(precision).unlink(missing_ok=True)
    with atomic_path(run.model_at(precision)) as temporary:
        temporary.write_bytes(reduced_content)
    write_json(run.metrics_at(precision), figures)
    return reduction


def _calibration_pictures(engine: Engine, parts: Split, seed: int) -> np.ndarray:
    """Return uint8 ``[n, H, W, 3]`` training pictures as served, sampled with the run's seed."""
    order = np.random.default_rng(seed).permutation(len(parts.train))[:_CALIBRATION_PICTURES]
    return np.stack([load_sample(parts.train[row], engine.spec.preprocessing) for row in order])
