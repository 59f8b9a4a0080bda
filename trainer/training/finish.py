"""Calibrate, test and export the chosen epoch of a run.

Only the run folder and the pictures listed in its ``split.csv`` are needed. A network that was trained elsewhere, or
a fit that stopped after training, is finished the same way.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras

from trainer.common.errors import TrainerError
from trainer.common.files import folder_lock, remove_partial, write_json
from trainer.common.history import read_history
from trainer.common.run import Run, read_json
from trainer.data.splits import Split, run_split
from trainer.evaluation.calibrate import Calibration
from trainer.export.convert import convert
from trainer.export.export import build_spec, write_verified
from trainer.export.parity import Parity
from trainer.export.run_scores import score
from trainer.networks.networks import logits_model
from trainer.recipes.run_config import RunConfig, read_run_config
from trainer.report import plots
from trainer.training.checkpoints import load_network

_PARITY_FILES = 24


def finish(run: Run, images: Sequence[Path] = ()) -> dict[str, Any]:
    """Calibrate, score the test part once with the service's engine, export, and draw the plots.

    Args:
        run: run folder with ``model.keras``.
        images: pictures for the parity check; default: the test part of the run.

    Returns:
        Content of ``metrics.json``.

    Raises:
        TrainerError: the run has no model yet, or the parity check fails.
        OSError: a picture of the run cannot be read.
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
    confusion_figure = plots.confusion(verdicts, ["real", "fake"], "Confusion matrix at P(fake) = 0.5")
    plots.save(confusion_figure, run.confusion_plot)
    plots.save(plots.roc({"test part": (scored.truth, scored.p_fake)}), run.roc_plot)
    plots.save(plots.reliability_diagram(scored.truth, scored.before, scored.p_fake), run.reliability_plot)
    return metrics


def export_run(run: Run, images: Sequence[Path] = ()) -> Parity:
    """Rewrite ``RUN/model.onnx`` from ``RUN/model.keras``, or :func:`finish` an unfinished run.

    Args:
        run: run folder.
        images: pictures for the parity check; default: the test part of the run.

    Raises:
        TrainerError: the folder is not a run, it has no model yet, or the parity check fails.
    """
    config = read_run_config(run)
    with folder_lock(run.folder):
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
    """Return up to 12 existing pictures of each class from the test part."""
    available = [sample for sample in parts.test if sample.path.is_file()]
    by_label = ([s.path for s in available if s.label == label][: _PARITY_FILES // 2] for label in ("real", "fake"))
    return [path for paths in by_label for path in paths]


def _network(run: Run, config: RunConfig) -> keras.Model:
    if not run.keras_model.exists():
        raise TrainerError(f"'{run.folder}' has no model.keras yet: wait for its fit to end, or resume it")
    return logits_model(load_network(run.keras_model), mirror=config.recipe.mirror)
