"""Publish: a run's model into ``models/``, through the release gates, whole or not at all."""

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
from trainer.evaluation.on_drawings import measured_alike, on_drawings
from trainer.evaluation.robustness import robustness, some
from trainer.export.parity import check_origin
from trainer.recipes.run_config import RunConfig, read_run_config
from trainer.release.gates import Gate, Measured, gates, refused
from trainer.report.card import write_card

DEFAULT = "DEFAULT"
MODEL = "model.onnx"
CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run's model beside the published one, measured.

    Attributes:
        run: the run.
        engine: its model, loaded.
        content: the model file.
        gates: every gate, open or shut.
        measured: the candidate's figures beside those of the published one.
        metrics: the run's own figures.
        test_part: fingerprint of the pictures that the figures of the test part rest on.
        first: whether nothing is published yet.
        same_test_part: whether the published model was measured on them too; if not, it may have learned from them, and
            what it was measured to do on its own test part stands in, but for tiers, flips and drawings that were not
            measured then.
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


def published_model(models: Path) -> Path | None:
    """Return the default model's file; None where nothing has been published.

    Raises:
        TrainerError: ``DEFAULT`` names a model that is not there.
    """
    default = models / DEFAULT
    if not default.is_file():
        return None
    path = models / default.read_text("utf-8", "replace").strip() / MODEL
    if not path.is_file():
        raise TrainerError(f"'{default}' names '{path.parent}', which holds no {MODEL}")
    return path


def examine(
    run: Run, models: Path, elsewhere: Dataset | None, robust: int, precision: Precision = "float32"
) -> Candidate:
    """Measure a run's model and the published one on pictures that neither has seen, and hold them against the gates.

    Args:
        run: a finished run.
        models: folder of published models.
        elsewhere: pictures that neither model has seen.
        robust: pictures of each source and class of the test part for tiers, flips and drawings.
        precision: which of the run's models.

    Raises:
        TrainerError: the run has not finished or exported that precision, has no test part, has learned from pictures
            of ``elsewhere``, or its version is published already.
    """
    config, path, figures = read_run_config(run), run.model_at(precision), run.metrics_at(precision)
    if not figures.exists() or not path.exists():
        raise TrainerError(f"'{run.folder}' is not ready: publish needs its {path.name} and {figures.name}")
    metrics = read_json(figures, f"'{run.folder}' is damaged")
    before = published_model(models)
    content = path.read_bytes()
    engine = Engine.from_bytes(content, EngineOptions("cpu"))
    check_origin(engine, config, path)
    if folder_of(engine, models).exists():
        raise TrainerError(f"'{folder_of(engine, models)}' is published already: fit with another --model-version")
    parts = run_split(run)
    if not parts.calibration:
        raise TrainerError(f"'{run.folder}' kept nothing for calibration or test (split '{config.split}')")
    if elsewhere:
        check_unseen(run.folder, elsewhere)
    own = Dataset(parts.test, (), {})
    old = Engine.from_bytes(before.read_bytes(), EngineOptions("cpu")) if before else None
    recorded = _recorded(before) if before else {}
    same = recorded.get("test_part") == own.fingerprint()
    cost = costs([content, *([before.read_bytes()] if before else [])])
    mine = Measured(_assess(engine, path, own, robust), _assess(engine, path, elsewhere), cost[0], precision)
    theirs = None
    if old and before:
        there = _assess(old, before, own, robust) if same else _own(recorded, old, own, robust)
        theirs = Measured(there, _elsewhere(recorded, _assess(old, before, elsewhere), config), cost[1])
    held = {gate["name"]: gate["limit"] for gate in recorded.get("gates", ())}
    found = gates(mine, theirs, metrics.get("against_float32"), held)
    return Candidate(run, engine, content, found, mine, metrics, own.fingerprint(), not old, same or not old)


def _assess(engine: Engine, path: Path, dataset: Dataset | None, robust: int = 0) -> dict[str, Any]:
    return assess(engine.spec.name, path, engine, dataset, robust, RELEASE).result if dataset else {}


def _own(recorded: Mapping[str, Any], engine: Engine, own: Dataset, robust: int) -> dict[str, Any]:
    """Return what the published model did on its own test part.

    What was not measured when it was published (tiers and flips, drawings) is, on the run's test part. It may have
    learned from some of these pictures, and others are of sources that it never had; for both models they are the same.
    """
    found = dict(recorded["own_test_part"])
    if found["robustness"] is None:
        found["robustness"] = robustness(engine, some(own.samples, robust), RELEASE)
    if not measured_alike(found.get("drawings")):
        found["drawings"] = on_drawings(engine, some(own.samples, robust))
    return found


def _elsewhere(recorded: Mapping[str, Any], measured: Mapping[str, Any], config: RunConfig) -> dict[str, Any] | None:
    """Add what the published model was measured on elsewhere before, but for sources that the run was trained on."""
    trained = config.dataset.sources
    before = (recorded.get("elsewhere") or {"sources": {}})["sources"]
    left = {source: row for source, row in before.items() if source not in trained}
    rows = {**left, **(measured["sources"] if measured else {})}
    return {**measured, "sources": rows} if rows else None


def _recorded(path: Path) -> dict[str, Any]:
    """Return what a published model's release recorded; of one from before releases, its test figures."""
    metrics = read_json(path.parent / METRICS, f"'{path.parent}' is damaged")
    return metrics.get("release") or {"own_test_part": {**metrics["test"], "robustness": None}}


def publish(candidate: Candidate, models: Path) -> Path:
    """Write ``models/NAME/VERSION`` and make it the default.

    Returns:
        the new folder.

    Raises:
        TrainerError: a gate is shut; or that version was published meanwhile.
    """
    shut = refused(candidate.gates)
    if shut:
        raise TrainerError(f"not published, {len(shut)} of {len(candidate.gates)} gates are shut: {'; '.join(shut)}")
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
    with new_folder(folder) as made:
        (made / MODEL).write_bytes(candidate.content)
        write_json(made / METRICS, metrics)
        write_card(made / CARD, candidate.engine, read_run_config(run), metrics, read_history(run.history))
    try:
        with atomic_path(models / DEFAULT) as temporary:
            temporary.write_text(f"{folder.parent.name}/{folder.name}\n", "utf-8")
    except BaseException:
        shutil.rmtree(folder)  # else it would be there, not be the default, and stand in the way of another try
        raise
    return folder


def folder_of(engine: Engine, models: Path) -> Path:
    """Return where a model's version belongs."""
    return models / engine.spec.name / engine.spec.version
