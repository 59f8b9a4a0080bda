"""Reduce: a finished run's model at a lower precision, calibrated, tested and timed beside the float32 one."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import onnx

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, held, write_json
from trainer.common.run import Run, read_json
from trainer.data.splits import Split, run_split
from trainer.data.tensors import load_sample
from trainer.evaluation.cost import costs
from trainer.evaluation.evaluate import calibrated, engine_logits
from trainer.evaluation.run_scores import score
from trainer.export.evidence_output import without_evidence
from trainer.export.export import with_metadata
from trainer.export.precision import to_float16, to_int8
from trainer.recipes.run_config import read_run_config

Reduced = Literal["int8", "float16"]
_FACES: Final = 256


@dataclass(frozen=True, slots=True)
class Reduction:
    """What the lower precision costs and gains, on the run's test part and on one core of this machine.

    Attributes:
        auc: area under the ROC curve; None where the test part holds one class.
        float32_auc: of the float32 model.
        verdicts_changed: share of verdicts that are not the float32 model's.
        speedup: how many times as fast as float32.
        milliseconds: a face, without decoding.
        megabytes: of the model file.
        float32_megabytes: of the float32 model file.
    """

    auc: float | None
    float32_auc: float | None
    verdicts_changed: float
    speedup: float
    milliseconds: float
    megabytes: float
    float32_megabytes: float


def reduce_run(run: Run, precision: Reduced) -> Reduction:
    """Write ``RUN/model.PRECISION.onnx`` and its figures, ``RUN/metrics.PRECISION.json``.

    Temperature and thresholds are set anew, on the same pictures as the run's, and the test part is scored once.

    Args:
        run: a finished run.
        precision: of the new model.

    Raises:
        TrainerError: the run has not finished.
        OSError: a picture of the run is gone.
    """
    with held(run.folder):
        return _reduce(run, precision)


def _reduce(run: Run, precision: Reduced) -> Reduction:
    config, parts = read_run_config(run), run_split(run)
    if not run.metrics.exists() or not run.onnx_model.exists():
        raise TrainerError(f"'{run.folder}' has not finished: '{precision}' is made from its model.onnx")
    content = run.onnx_model.read_bytes()
    full, graph = Engine.from_bytes(content, EngineOptions("cpu")), without_evidence(onnx.load_from_string(content))
    small = to_int8(graph, _faces(full, parts, config.seed)) if precision == "int8" else to_float16(graph)
    scored = score(small, config, parts, precision)
    reduced = with_metadata(small, scored.spec)
    engine = Engine.from_bytes(reduced, EngineOptions("cpu"))
    before = calibrated(engine_logits(full, parts.test, "test, float32"), full.spec)
    after = scored.p_fake
    changed = (before >= full.spec.threshold_fake) != (after >= engine.spec.threshold_fake)
    changed |= (before <= full.spec.threshold_real) != (after <= engine.spec.threshold_real)
    cost, float32_cost = costs([reduced, content])
    saved = read_json(run.metrics, f"'{run.folder}' is damaged")
    found = Reduction(
        scored.test["pooled"]["roc_auc"],
        saved["test"]["pooled"]["roc_auc"],
        float(changed.mean()),
        float32_cost.milliseconds / cost.milliseconds,
        cost.milliseconds,
        cost.megabytes,
        float32_cost.megabytes,
    )
    figures: dict[str, Any] = {
        **saved,
        "calibration": asdict(scored.calibration),
        "summary": scored.spec.metrics,
        "test": scored.test,
        "holdout": scored.holdout,
        "against_float32": asdict(found),
    }
    # A kill in between must not leave the old figures to the new model.
    run.metrics_at(precision).unlink(missing_ok=True)
    with atomic_path(run.model_at(precision)) as temporary:
        temporary.write_bytes(reduced)
    write_json(run.metrics_at(precision), figures)
    return found


def _faces(engine: Engine, parts: Split, seed: int) -> np.ndarray:
    """Return training pictures as served, drawn by the run's seed."""
    order = np.random.default_rng(seed).permutation(len(parts.train))[:_FACES]
    return np.stack([load_sample(parts.train[row], engine.spec.preprocessing) for row in order])
