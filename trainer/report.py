"""Plots of one run, as PNG files."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import RocCurveDisplay

from trainer.files import atomic_path


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")


def plot_history(history: list[dict[str, float]], best_epoch: int, path: Path) -> None:
    """Draw accuracy and loss per epoch, training and validation, and mark the epoch kept."""
    figure = Figure(figsize=(9, 3.6))
    epochs = [row["epoch"] for row in history]
    for axes, key in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(epochs, [row[key] for row in history], marker=".", label="training")
        axes.plot(epochs, [row[f"val_{key}"] for row in history], marker=".", label="validation")
        axes.axvline(best_epoch, color="grey", linestyle=":", label=f"kept: epoch {best_epoch}")
        axes.set(xlabel="epoch", ylabel=key, title=f"{key.capitalize()} per epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    _save(figure, path)


def plot_confusion(figures: dict[str, Any], path: Path) -> None:
    """Draw the confusion matrix at P(fake) = .5."""
    matrix = np.array(figures["confusion_matrix"])
    figure = Figure(figsize=(4.2, 3.8))
    axes = figure.subplots()
    axes.imshow(matrix, cmap="Blues", vmin=0)
    for (row, column), count in np.ndenumerate(matrix):
        shade = "white" if count > matrix.max() / 2 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=14)
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=["real", "fake"], yticklabels=["real", "fake"])
    axes.set(xlabel="called", ylabel="truth", title="Confusion matrix, cut at P(fake) = .5")
    _save(figure, path)


def plot_roc(truth: NDArray[np.bool_], p_fake: NDArray[np.float64], path: Path) -> None:
    """Draw the ROC curve of P(fake) scores with its area."""
    figure = Figure(figsize=(4.6, 4.4))
    axes = figure.subplots()
    RocCurveDisplay.from_predictions(truth, p_fake, ax=axes, name="fake", plot_chance_level=True)
    axes.set(xlabel="real faces called fake", ylabel="fakes found", title="ROC, fake is positive")
    _save(figure, path)
