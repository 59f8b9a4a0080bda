"""Parity check: compare the exported file, run by the service's engine, with the Keras network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from service.contract.verdict.calibration import verdicts
from service.inference.engine import Engine
from trainer.common.errors import TrainerError
from trainer.data.tensors import load_tensor
from trainer.recipes.run_config import RunConfig

BATCH_SIZES = (1, 3, 8)
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Parity:
    """Result of the parity check: the largest difference of any logit, and the number of files."""

    max_difference: float
    files: int


def check_origin(engine: Engine, config: RunConfig, path: Path) -> None:
    """Check that a model file was made by a run.

    Args:
        engine: engine with the loaded model.
        config: configuration of the run.
        path: path of the model file.

    Raises:
        TrainerError: the recipe, version or data of the model differ from those of the run.
    """
    spec = engine.spec
    actual = (spec.name, spec.version, spec.dataset_fingerprint)
    expected = (config.recipe.name, config.version, config.dataset.fingerprint)
    if actual != expected:
        raise TrainerError(
            f"'{path}' is not this run's model: it holds {spec.name} {spec.version}, but the run is "
            f"{expected[0]} {expected[1]}{'' if actual[:2] != expected[:2] else ', on other data'}"
        )


def check_parity(network: keras.Model, engine: Engine, files: Sequence[Path]) -> Parity:
    """Compare logits and verdicts on real files, in batches of 1, 3 and 8.

    Args:
        network: Keras network, uint8 images to logits.
        engine: the service's engine with the exported file.
        files: at least one readable picture; pictures repeat to fill a batch.

    Raises:
        TrainerError: there are no files, a logit differs by more than 1e-4, or a verdict differs.
    """
    if not files:
        raise TrainerError("the parity check needs at least one picture; give some with --images")
    tensors = np.stack([load_tensor(path, engine.spec.preprocessing) for path in files])
    max_difference = 0.0
    for size in BATCH_SIZES:
        for start in range(0, len(tensors), size):
            batch = tensors[np.arange(start, start + size) % len(tensors)]
            expected = keras.ops.convert_to_numpy(network(batch, training=False))
            actual = engine.logits(batch)
            difference = float(np.abs(expected - actual).max())
            max_difference = max(max_difference, difference)
            if not difference <= TOLERANCE:
                raise TrainerError(
                    f"parity check failed: a logit differs by {difference:.2e} at batch size {size}, limit {TOLERANCE}"
                )
            same_verdicts(expected, actual, engine, size)
    return Parity(max_difference, len(files))


def same_verdicts(expected: np.ndarray, actual: np.ndarray, engine: Engine, size: int) -> None:
    """Raise :class:`TrainerError` if two sets of logits lead to different verdicts."""
    pairs = zip(verdicts(expected, engine.spec), verdicts(actual, engine.spec), strict=True)
    for keras_verdict, engine_verdict in pairs:
        if keras_verdict.verdict != engine_verdict.verdict:
            raise TrainerError(
                f"parity check failed at batch size {size}: Keras says {keras_verdict.verdict} "
                f"({keras_verdict.p_fake:.6f}), the engine {engine_verdict.verdict} ({engine_verdict.p_fake:.6f})"
            )
