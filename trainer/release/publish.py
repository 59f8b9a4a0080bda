"""Publication of a run's model in ``models/``: atomic, and only if all release gates pass."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from service.contract.spec import Precision
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, new_folder, write_json
from trainer.common.history import read_history
from trainer.common.run import METRICS, Run, read_json
from trainer.data.dataset import Dataset
from trainer.data.splits import run_split
from trainer.evaluation.assess import assess, check_unseen
from trainer.evaluation.conditions import RELEASE
from trainer.evaluation.cost import costs
from trainer.evaluation.on_drawings import covers_all_techniques, on_drawings
from trainer.evaluation.robustness import robustness, stratified_subset
from trainer.export.parity import check_origin
from trainer.recipes.run_config import RunConfig, read_run_config
from trainer.release.gates import Gate, Measured, failed_gates, gates
from trainer.report.card import write_card

DEFAULT = "DEFAULT"
MODEL = "model.onnx"
CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run's model with its measurements and gates.

    Attributes:
        run: the run.
        engine: the loaded model.
        content: content of the model file.
        gates: all gates, passed and failed.
        measured: measurements of the candidate.
        metrics: metrics that the run recorded.
        test_part: fingerprint of the pictures of the run's test part.
        first: whether nothing is published yet.
        same_test_part: whether the published model has the same test part. If not, it may have been trained on these
            pictures, so the results recorded for its own test part are used; only tiers, flips and drawings that
            were not recorded are measured on the run's test part.
    """

    run: Run
    engine: Engine
    content: bytes
    gates: list[Gate]
    measured: Measured
    metrics: dict[str, Any]
    test_part: str
    first: bool
    same_test_part: bool


@dataclass(frozen=True, slots=True)
class _Published:
    """The default model, loaded, with its release record."""

    path: Path
    engine: Engine
    recorded: dict[str, Any]


def published_model(models: Path) -> Path | None:
    """Return the file of the default model; None if nothing is published.

    Raises:
        TrainerError: ``DEFAULT`` names a model that does not exist.
    """
    default = models / DEFAULT
    if not default.is_file():
        return None
    path = models / default.read_text("utf-8", "replace").strip() / MODEL
    if not path.is_file():
        raise TrainerError(f"'{default}' names '{path.parent}', which holds no {MODEL}")
    return path


def _published(path: Path) -> _Published:
    return _Published(path, Engine.from_bytes(path.read_bytes(), EngineOptions("cpu")), _recorded_release(path))


def examine(
    run: Run, models: Path, elsewhere: Dataset | None, robust: int, precision: Precision = "float32"
) -> Candidate:
    """Measure a run's model and the published one on pictures that neither has seen, and evaluate the gates.

    Args:
        run: a finished run.
        models: folder of published models.
        elsewhere: pictures that neither model has seen.
        robust: number of pictures per source and class of the test part for tiers, flips and drawings.
        precision: which of the run's models to measure.

    Raises:
        TrainerError: the run is not finished, has no model of that precision, has no test part or has used pictures of
            ``elsewhere``; or its version is already published.
    """
    config, path, metrics_path = read_run_config(run), run.model_at(precision), run.metrics_at(precision)
    if not metrics_path.exists() or not path.exists():
        raise TrainerError(f"'{run.folder}' is not ready: publish needs its {path.name} and {metrics_path.name}")
    metrics = read_json(metrics_path, f"'{run.folder}' is damaged")
    published_path = published_model(models)
    content = path.read_bytes()
    engine = Engine.from_bytes(content, EngineOptions("cpu"))
    check_origin(engine, config, path)
    if folder_of(engine, models).exists():
        raise TrainerError(
            f"'{folder_of(engine, models)}' is already published: fit again with another --model-version"
        )
    test_part = _test_part(run, config)
    if elsewhere:
        check_unseen(run.folder, elsewhere)
    published = _published(published_path) if published_path else None
    same_test_part = published is None or published.recorded.get("test_part") == test_part.fingerprint()
    cost = costs([content, *([published.path.read_bytes()] if published else [])])
    measured = Measured(_assess(engine, path, test_part, robust), _assess(engine, path, elsewhere), cost[0], precision)
    reference = None
    if published:
        own = (
            _assess(published.engine, published.path, test_part, robust)
            if same_test_part
            else _recorded_own(published, test_part, robust)
        )
        unseen = _assess(published.engine, published.path, elsewhere)
        reference = Measured(own, _merged_elsewhere(published.recorded, unseen, config), cost[1])
    recorded_gates = published.recorded.get("gates", ()) if published else ()
    previous_limits = {gate["name"]: gate["limit"] for gate in recorded_gates}
    return Candidate(
        run=run,
        engine=engine,
        content=content,
        gates=gates(measured, reference, metrics.get("against_float32"), previous_limits),
        measured=measured,
        metrics=metrics,
        test_part=test_part.fingerprint(),
        first=published is None,
        same_test_part=same_test_part,
    )


def _test_part(run: Run, config: RunConfig) -> Dataset:
    split = run_split(run)
    if not split.calibration:
        raise TrainerError(
            f"'{run.folder}' has no separate calibration and test parts (split '{config.split}'): "
            "fit with --split stratified"
        )
    return Dataset(split.test, (), {})


def _assess(engine: Engine, path: Path, dataset: Dataset | None, robust: int = 0) -> dict[str, Any]:
    return assess(engine.spec.name, path, engine, dataset, robust, RELEASE).result if dataset else {}


def _recorded_own(published: _Published, test_part: Dataset, robust: int) -> dict[str, Any]:
    """Return the results that the published model recorded for its own test part.

    Results that were not recorded (tiers and flips, drawings) are measured on the run's test part. The published model
    may have been trained on some of these pictures, and others come from sources that it never had; both models are
    measured on the same pictures.
    """
    result = dict(published.recorded["own_test_part"])
    if result["robustness"] is None:
        result["robustness"] = robustness(published.engine, stratified_subset(test_part.samples, robust), RELEASE)
    if not covers_all_techniques(result.get("drawings")):
        result["drawings"] = on_drawings(published.engine, stratified_subset(test_part.samples, robust))
    return result


def _merged_elsewhere(
    recorded: Mapping[str, Any], measured: Mapping[str, Any], config: RunConfig
) -> dict[str, Any] | None:
    """Add the recorded results of the published model on other data, except for sources that the run was trained on."""
    trained_on = config.dataset.sources
    recorded_sources = (recorded.get("elsewhere") or {"sources": {}})["sources"]
    untrained = {source: row for source, row in recorded_sources.items() if source not in trained_on}
    rows = {**untrained, **(measured["sources"] if measured else {})}
    return {**measured, "sources": rows} if rows else None


def _recorded_release(path: Path) -> dict[str, Any]:
    """Return the release record of a published model; without one, its test metrics in the same form."""
    metrics = read_json(path.parent / METRICS, f"'{path.parent}' is damaged")
    return metrics.get("release") or {"own_test_part": {**metrics["test"], "robustness": None}}


def publish(candidate: Candidate, models: Path) -> Path:
    """Write ``models/NAME/VERSION`` and make it the default model.

    Returns:
        the new folder.

    Raises:
        TrainerError: a gate fails, or the version has been published in the meantime.
    """
    failures = failed_gates(candidate.gates)
    if failures:
        raise TrainerError(
            f"not published: {len(failures)} of {len(candidate.gates)} gates fail: {'; '.join(failures)}"
        )
    folder, run = folder_of(candidate.engine, models), candidate.run
    metrics = candidate.metrics | {
        "release": {
            "test_part": candidate.test_part,
            "own_test_part": dict(candidate.measured.own),
            "elsewhere": candidate.measured.elsewhere or None,
            "cost": asdict(candidate.measured.cost),
            "gates": [{**asdict(gate), "passed": gate.passed} for gate in candidate.gates],
        }
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(folder) as staging:
        (staging / MODEL).write_bytes(candidate.content)
        write_json(staging / METRICS, metrics)
        write_card(staging / CARD, candidate.engine, read_run_config(run), metrics, read_history(run.history))
    try:
        with atomic_path(models / DEFAULT) as temporary:
            temporary.write_text(f"{folder.parent.name}/{folder.name}\n", "utf-8")
    except BaseException:
        shutil.rmtree(folder)  # otherwise the next attempt is refused as already published
        raise
    return folder


def folder_of(engine: Engine, models: Path) -> Path:
    """Return the folder of a model's version."""
    return models / engine.spec.name / engine.spec.version
