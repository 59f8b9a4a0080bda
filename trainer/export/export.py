"""Writing of the ONNX model file, with metadata, after a parity check against the Keras network."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import keras
import onnx

from service.contract.spec import ModelSpec, Precision, Preprocessing, SpecError, check_field
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.files import atomic_path
from trainer.evaluation.calibrate import Calibration
from trainer.export.evidence_output import with_evidence
from trainer.export.parity import Parity, check_parity
from trainer.recipes.run_config import RunConfig

# Share of training pictures with a face, above which their median margin becomes that of the model.
MIN_SHARE_WITH_FACE: Final = 0.5


def build_spec(
    config: RunConfig, calibration: Calibration, metrics: dict[str, Any], precision: Precision = "float32"
) -> ModelSpec:
    """Return the metadata of a model from the configuration, calibration and test metrics of its run."""
    recipe = config.recipe
    seeds = {"seed": config.seed, "split": config.split, "split_seed": config.seed_of_split}
    data = {"groups": config.groups or "none", "holdout": list(config.holdout), "outliers": config.outliers.counts}
    return ModelSpec(
        name=recipe.name,
        version=config.version,
        class_names=recipe.class_names,
        fake_class="fake",
        output_kind=recipe.output_kind,
        **asdict(_preprocessing(config)),
        **asdict(calibration),
        dataset_fingerprint=config.dataset.fingerprint,
        dataset_counts=config.trained_counts,
        recipe={**recipe.settings(), **seeds, **data},
        metrics=metrics,
        library_versions=config.library_versions,
        commit=config.commit,
        precision=precision,
    )


def _preprocessing(config: RunConfig) -> Preprocessing:
    """Return the recipe's preprocessing, with the median margin of the training pictures if it sets none."""
    preprocessing, faces = config.recipe.preprocessing, config.faces
    if preprocessing.face_margin is not None or faces is None or not faces.median_margin:
        return preprocessing
    # If few pictures show a face, or the margin is out of range, the median is not usable for cropping faces.
    if faces.with_face < MIN_SHARE_WITH_FACE * faces.pictures:
        return preprocessing
    try:
        check_field("face_margin", faces.median_margin)
    except SpecError:
        return preprocessing
    return replace(preprocessing, face_margin=faces.median_margin, face_finder=faces.finder)


def with_metadata(graph: onnx.ModelProto, spec: ModelSpec) -> bytes:
    """Return the bytes of a model file: the graph, its evidence output if it has one, and the metadata of the spec."""
    model = with_evidence(graph, spec)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, spec.to_metadata())
    content: bytes = model.SerializeToString()
    return content


def write_verified(
    path: Path, graph: onnx.ModelProto, spec: ModelSpec, network: keras.Model, files: Sequence[Path]
) -> Parity:
    """Write the model file to ``path`` after the service's engine has loaded its bytes and passed the parity check.

    Raises:
        TrainerError: the parity check fails; nothing is written.
    """
    content = with_metadata(graph, spec)
    parity = check_parity(network, Engine.from_bytes(content, EngineOptions("cpu")), files)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return parity
