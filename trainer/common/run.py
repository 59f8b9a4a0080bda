"""Run folder: the files of one fit."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.contract.spec import Precision
from trainer.common.errors import TrainerError

HISTORY = "history.csv"
METRICS = "metrics.json"


@dataclass(frozen=True, slots=True)
class Run:
    """Paths of the files in a run folder."""

    folder: Path

    @property
    def config(self) -> Path:
        """Recipe, seed, data fingerprint and counts, library versions and commit."""
        return self.folder / "config.json"

    @property
    def history(self) -> Path:
        """History of the fit, one row per epoch."""
        return self.folder / HISTORY

    @property
    def split(self) -> Path:
        """Files and their parts."""
        return self.folder / "split.csv"

    @property
    def keras_model(self) -> Path:
        """The chosen epoch's network, uncompiled."""
        return self.folder / "model.keras"

    @property
    def onnx_model(self) -> Path:
        """Model that the service loads."""
        return self.folder / "model.onnx"

    def model_at(self, precision: Precision) -> Path:
        """Return the model file of a precision; ``model.onnx`` for float32."""
        return self.onnx_model if precision == "float32" else self.folder / f"model.{precision}.onnx"

    def metrics_at(self, precision: Precision) -> Path:
        """Return the file with calibration and test metrics of a precision."""
        return self.metrics if precision == "float32" else self.folder / f"metrics.{precision}.json"

    @property
    def history_plot(self) -> Path:
        """Accuracy and loss per epoch."""
        return self.folder / "history.png"

    @property
    def confusion_plot(self) -> Path:
        """Confusion matrix of the test part."""
        return self.folder / "confusion_matrix.png"

    @property
    def roc_plot(self) -> Path:
        """ROC curve of the test part."""
        return self.folder / "roc.png"

    @property
    def reliability_plot(self) -> Path:
        """Reliability of P(fake) on the test part, before and after calibration."""
        return self.folder / "reliability.png"

    @property
    def audit(self) -> Path:
        """Audit of the data: its properties, and cues that separate the classes."""
        return self.folder / "audit.json"

    @property
    def audit_page(self) -> Path:
        """Audit as a web page."""
        return self.folder / "audit.html"

    @property
    def metrics(self) -> Path:
        """Calibration and test metrics."""
        return self.folder / METRICS

    @property
    def tensorboard(self) -> Path:
        """TensorBoard event files, if enabled."""
        return self.folder / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """State to resume from; removed when all epochs are done."""
        return self.folder / "checkpoints"

    @property
    def cache(self) -> Path:
        """Decoded tensors; removed when all epochs are done."""
        return self.folder / "cache"


def read_json(path: Path, refusal: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        path: path of the file.
        refusal: start of the error message.
        keys: required keys.

    Raises:
        TrainerError: the file is missing, or is not a JSON object with these keys.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainerError(f"{refusal}: {path.name}: {error}") from None
    if not isinstance(value, dict):
        raise TrainerError(f"{refusal}: {path.name} is not a JSON object")
    if missing := [key for key in keys if key not in value]:
        raise TrainerError(f"{refusal}: {path.name} has no {', '.join(missing)}")
    return value
