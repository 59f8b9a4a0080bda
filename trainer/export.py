"""Export: a run folder to the one ONNX file that the service needs."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import onnx

from service.contract.spec import ModelSpec
from service.engine import Engine
from trainer.calibrate import UNCALIBRATED, Calibration
from trainer.convert import convert
from trainer.errors import TrainerError
from trainer.files import atomic_path
from trainer.networks import logits_model
from trainer.run import Run, read_json
from trainer.verify import Parity, check_parity

_PARITY_FILES = 24


def build_spec(config: dict[str, Any], calibration: Calibration, metrics: dict[str, Any]) -> ModelSpec:
    """Return the metadata of a run's model from its ``config.json``, calibration and test figures."""
    recipe = config["recipe"]
    return ModelSpec(
        name=recipe["name"],
        version=config["version"],
        class_names=tuple(recipe["class_names"]),
        fake_class="fake",
        output_kind=recipe["output_kind"],
        **recipe["preprocessing"],
        **asdict(calibration),
        dataset_fingerprint=config["dataset"]["fingerprint"],
        dataset_counts=config["dataset"]["counts"],
        recipe={**recipe, "seed": config["seed"], "split": config["split"]},
        metrics=metrics,
        library_versions=config["library_versions"],
        commit=config["commit"],
    )


def with_metadata(graph: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """Return the bytes of a model file: the graph with exactly this spec's metadata."""
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, spec.to_metadata())
    return graph.SerializeToString()


def parity_files(run: Run) -> list[Path]:
    """Return pictures of the run's test part that are still there, both classes in turn."""
    by_label: dict[str, list[Path]] = {"real": [], "fake": []}
    with run.split.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["part"] == "test" and Path(row["path"]).is_file():
                by_label[row["label"]].append(Path(row["path"]))
    half = _PARITY_FILES // 2
    return by_label["real"][:half] + by_label["fake"][:half]


def write_verified(
    path: Path, graph: onnx.ModelProto, spec: ModelSpec, network: keras.Model, files: Sequence[Path]
) -> Parity:
    """Write ``path`` once the service's engine has loaded these very bytes and agreed with Keras.

    Raises:
        TrainerError: parity does not hold; nothing is written.
    """
    content = with_metadata(graph, spec)
    parity = check_parity(network, Engine.from_bytes(content, "cpu"), files)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return parity


def export_run(run: Run, images: Sequence[Path] = ()) -> Parity:
    """Write ``RUN/model.onnx`` again from ``RUN/model.keras``.

    Args:
        run: a run folder. Without ``metrics.json`` (a fit that never finished) the model is
            exported uncalibrated and says so.
        images: pictures for the parity check; default: the run's own test part.

    Raises:
        TrainerError: this is no run folder, it has no model yet, or parity does not hold.
    """
    config = run.read_config()
    if not run.keras_model.exists():
        raise TrainerError(f"'{run.folder}' has no model.keras yet: its fit has not finished")
    calibration, metrics = UNCALIBRATED, {}
    if run.metrics.exists():
        saved = read_json(run.metrics, f"'{run.folder}' is damaged")
        calibration, metrics = Calibration(**saved["calibration"]), saved["summary"]
    network = logits_model(keras.models.load_model(run.keras_model))
    spec = build_spec(config, calibration, metrics)
    return write_verified(run.onnx_model, convert(network), spec, network, images or parity_files(run))
