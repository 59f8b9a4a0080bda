"""Parity: the exported file, run by the service's own engine, against the Keras network."""

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
    """What was compared: the largest difference of any logit, over how many files."""

    max_difference: float
    files: int


def check_origin(engine: Engine, config: RunConfig, path: Path) -> None:
    """Refuse a model file that another run made.

    Args:
        engine: the model, loaded.
        config: of the run that it is said to be of.
        path: of the file.

    Raises:
        TrainerError: it names another recipe, version or data.
    """
    spec = engine.spec
    said = (spec.name, spec.version, spec.dataset_fingerprint)
    expected = (config.recipe.name, config.version, config.dataset.fingerprint)
    if said != expected:
        raise TrainerError(
            f"'{path}' is not this run's model: it says {spec.name} {spec.version}, and the run is "
            f"{expected[0]} {expected[1]}{'' if said[:2] != expected[:2] else ', on other data'}"
        )


def check_parity(network: keras.Model, engine: Engine, files: Sequence[Path]) -> Parity:
    """Compare logits and verdicts on real files, in batches of 1, 3 and 8.

    Args:
        network: uint8 images to logits.
        engine: the service's engine with the exported file.
        files: at least one readable picture; repeated where a batch needs more.

    Raises:
        TrainerError: no files, a logit differs by more than 1e-4, or a verdict differs.
    """
    if not files:
        raise TrainerError("parity cannot be shown without a real picture; name some with --images")
    tensors = np.stack([load_tensor(path, engine.spec.preprocessing) for path in files])
    worst = 0.0
    for size in BATCH_SIZES:
        for start in range(0, len(tensors), size):
            batch = tensors[np.arange(start, start + size) % len(tensors)]
            expected = keras.ops.convert_to_numpy(network(batch, training=False))
            actual = engine.logits(batch)
            difference = float(np.abs(expected - actual).max())
            worst = max(worst, difference)
            if not difference <= TOLERANCE:
                raise TrainerError(
                    f"export is not faithful: a logit differs by {difference:.2e} at batch {size}, limit {TOLERANCE}"
                )
            same_verdicts(expected, actual, engine, size)
    return Parity(worst, len(files))


def same_verdicts(expected: np.ndarray, actual: np.ndarray, engine: Engine, size: int) -> None:
    """Raise :class:`TrainerError` where two sets of logits lead to another verdict."""
    pairs = zip(verdicts(expected, engine.spec), verdicts(actual, engine.spec), strict=True)
    for keras_verdict, engine_verdict in pairs:
        if keras_verdict.verdict != engine_verdict.verdict:
            raise TrainerError(
                f"export is not faithful at batch {size}: Keras says {keras_verdict.verdict} "
                f"({keras_verdict.p_fake:.6f}), the engine {engine_verdict.verdict} ({engine_verdict.p_fake:.6f})"
            )
