"""Export: a fitted network to the one ONNX file that the service needs, proven to answer alike."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import onnx

from service.contract.spec import ModelSpec, Precision, SpecError, check_field
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.files import atomic_path
from trainer.data.splits import outlier_counts, split_seed
from trainer.evaluation.calibrate import Calibration
from trainer.export.evidence_output import with_evidence
from trainer.export.parity import Parity, check_parity


def build_spec(
    config: dict[str, Any], calibration: Calibration, metrics: dict[str, Any], precision: Precision = "float32"
) -> ModelSpec:
    """Return the metadata of a run's model from its ``config.json``, calibration and test figures."""
    recipe = config["recipe"]
    held, groups = config.get("holdout", []), config.get("groups", "none")
    drawn = {"seed": config["seed"], "split": config["split"], "split_seed": split_seed(config)}
    return ModelSpec(
        name=recipe["name"],
        version=config["version"],
        class_names=tuple(recipe["class_names"]),
        fake_class="fake",
        output_kind=recipe["output_kind"],
        **_preprocessing(config),
        **asdict(calibration),
        dataset_fingerprint=config["dataset"]["fingerprint"],
        dataset_counts={key: n for key, n in config["dataset"]["counts"].items() if key.rsplit("/", 1)[0] not in held},
        recipe={**recipe, **drawn, "groups": groups, "holdout": held, "outliers": outlier_counts(config)},
        metrics=metrics,
        library_versions=config["library_versions"],
        commit=config["commit"],
        precision=precision,
    )


def _preprocessing(config: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe's, with the margin that the training pictures had where it took them whole."""
    how, faces = config["recipe"]["preprocessing"], config.get("faces", {})
    margin = faces.get("median_margin")
    # Where few pictures show a face, or it is lost in them, there is no margin to cut faces out with.
    if how.get("face_margin") is None and margin and faces["with_face"] >= 0.5 * faces["pictures"]:
        try:
            check_field("face_margin", margin)
        except SpecError:
            return dict(how)
        return {**how, "face_margin": margin, "face_finder": faces["finder"]}
    return dict(how)


def with_metadata(graph: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """Return the bytes of a model file: a graph, its evidence map if it has one, and exactly this spec's metadata."""
    whole = with_evidence(graph, spec)
    del whole.metadata_props[:]
    onnx.helper.set_model_props(whole, spec.to_metadata())
    return whole.SerializeToString()


def write_verified(
    path: Path, graph: onnx.ModelProto, spec: ModelSpec, network: keras.Model, files: Sequence[Path]
) -> Parity:
    """Write ``path`` once the service's engine has loaded these very bytes and agreed with Keras.

    Raises:
        TrainerError: parity does not hold; nothing is written.
    """
    content = with_metadata(graph, spec)
    parity = check_parity(network, Engine.from_bytes(content, EngineOptions("cpu")), files)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return parity
