"""Finish: from a run's chosen epoch to a calibrated, tested and exported model.

Needs the run folder and the pictures named in its ``split.csv``, nothing of the fit's memory: so a
network that was trained elsewhere, or a fit that broke off after training, is finished the same way.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from trainer.common.errors import TrainerError
from trainer.common.files import held, remove_partial, write_json
from trainer.common.history import read_history
from trainer.common.run import Run, read_json
from trainer.data.splits import Split, run_split
from trainer.evaluation.calibrate import Calibration
from trainer.evaluation.run_scores import score
from trainer.export.convert import convert
from trainer.export.export import build_spec, write_verified
from trainer.export.parity import Parity
from trainer.networks.networks import logits_model
from trainer.recipes.run_config import RunConfig, read_run_config
from trainer.report import plots
from trainer.training.checkpoints import load_network

_PARITY_FILES = 24


def finish(run: Run, images: Sequence[Path] = ()) -> dict[str, Any]:
    """Calibrate, score the test part once through the engine, export, and draw the plots.

    Args:
        run: a run folder with ``model.keras``.
        images: pictures for the parity check; default: the run's own test part.

    Returns:
        what ``metrics.json`` holds.

    Raises:
        TrainerError: the run has no model yet, or parity does not hold.
        OSError: a picture of the run is gone.
    """
    config = read_run_config(run)
    network = _network(run, config)
    parts = run_split(run)
    graph = convert(network)
    scored = score(graph, config, parts)
    parity = write_verified(run.onnx_model, graph, scored.spec, network, images or parity_files(parts))
    metrics = {
        "calibration": asdict(scored.calibration),
        "summary": scored.spec.metrics,
        "test": scored.test,
        "holdout": scored.holdout,
        "epochs": config.epochs,
        "kept_epoch": config.kept_epoch,
        "parity": asdict(parity),
        "history": read_history(run.history),
    }
    write_json(run.metrics, metrics)
    verdicts = scored.test["pooled"]["confusion_matrix"]
    cut = plots.confusion(verdicts, ["real", "fake"], "Confusion matrix, cut at P(fake) = .5")
    plots.save(cut, run.confusion_plot)
    plots.save(plots.roc({"test part": (scored.truth, scored.p_fake)}), run.roc_plot)
    plots.save(plots.reliability_diagram(scored.truth, scored.before, scored.p_fake), run.reliability_plot)
    return metrics


def export_run(run: Run, images: Sequence[Path] = ()) -> Parity:
    """Write ``RUN/model.onnx`` again from ``RUN/model.keras``; :func:`finish` a run that was not.

    Args:
        run: a run folder.
        images: pictures for the parity check; default: the run's own test part.

    Raises:
        TrainerError: this is no run folder, it has no model yet, or parity does not hold.
    """
    config = read_run_config(run)
    with held(run.folder):
        remove_partial(run.folder)
        return _export(run, config, images)


def _export(run: Run, config: RunConfig, images: Sequence[Path]) -> Parity:
    network = _network(run, config)
    if not run.metrics.exists():
        return Parity(**finish(run, images)["parity"])
    saved = read_json(run.metrics, f"'{run.folder}' is damaged", ("calibration", "summary"))
    try:
        calibration = Calibration(**saved["calibration"])
    except TypeError as error:
        raise TrainerError(f"'{run.folder}' is damaged: {run.metrics.name}: calibration: {error}") from None
    spec = build_spec(config, calibration, saved["summary"])
    return write_verified(run.onnx_model, convert(network), spec, network, images or parity_files(run_split(run)))


def parity_files(parts: Split) -> list[Path]:
    """Return pictures of the test part that are still there, both classes alike."""
    there = [sample for sample in parts.test if sample.path.is_file()]
    by_label = ([s.path for s in there if s.label == label][: _PARITY_FILES // 2] for label in ("real", "fake"))
    return [path for paths in by_label for path in paths]


def _network(run: Run, config: RunConfig) -> keras.Model:
    if not run.keras_model.exists():
        raise TrainerError(f"'{run.folder}' has no model.keras yet: its fit has not ended")
    return logits_model(load_network(run.keras_model), mirror=config.recipe.mirror)
