"""Plots: figures of a run and of an evaluation, for PNG files and for pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from trainer.common.files import atomic_path
from trainer.common.stats import expected_calibration_error, reliability

Scores = NDArray[np.float64]
Truth = NDArray[np.bool_]
_REAL, _FAKE = "#2563a8", "#c2410c"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")


def history(rows: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Accuracy and loss per epoch, training and validation; the epoch kept is marked, where known."""
    figure = Figure(figsize=(9, 3.6), label="history")
    epochs = [row["epoch"] for row in rows]
    for axes, key in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        axes.plot(epochs, [row[key] for row in rows], marker=".", label="training")
        axes.plot(epochs, [row[f"val_{key}"] for row in rows], marker=".", label="validation")
        if best_epoch is not None:
            axes.axvline(best_epoch, color="grey", linestyle=":", label=f"kept: epoch {best_epoch}")
        axes.set(xlabel="epoch", ylabel=key, title=f"{key.capitalize()} per epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    return figure


def confusion(matrix: Sequence[Sequence[int]], called: Sequence[str], title: str) -> Figure:
    """Counts by truth (rows real, fake) and by what they were called (columns)."""
    counts = np.array(matrix)
    figure = Figure(figsize=(1.6 + 1.3 * len(called), 3.6), label=title)
    axes = figure.subplots()
    # Shaded within each row, because the classes may differ in size.
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        share = count / max(counts[row].sum(), 1)
        text = f"{count}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black", fontsize=12)
    axes.set(xticks=range(len(called)), yticks=[0, 1], xticklabels=called, yticklabels=["real", "fake"])
    axes.set(xlabel="called", ylabel="truth", title=title)
    return figure


def roc(curves: Mapping[str, tuple[Truth, Scores]]) -> Figure:
    """ROC of one or several sets of scores, whole and at low false alarm rates."""
    figure = Figure(figsize=(9, 4.2), label="roc")
    for axes, log in zip(figure.subplots(1, 2), (False, True), strict=True):
        for name, (truth, p_fake) in curves.items():
            false_alarms, found, _ = roc_curve(truth, p_fake)
            axes.plot(np.maximum(false_alarms, 1e-4 if log else 0), found, label=name, drawstyle="steps-post")
        if log:
            axes.set(xscale="log", xlim=(1e-3, 1), title="the same, low false alarm rates enlarged")
            for rate in (0.005, 0.01):
                axes.axvline(rate, color="grey", linestyle=":", linewidth=1)
        else:
            axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
            axes.set(title="ROC, fake is positive")
        axes.set(xlabel="real faces flagged", ylabel="fakes found", ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=8)
    return figure


def reliability_diagram(truth: Truth, before: Scores, after: Scores) -> Figure:
    """Predicted against observed share of fakes, before and after temperature scaling."""
    figure = Figure(figsize=(9, 3.9), label="reliability")
    for axes, p_fake, name in zip(
        figure.subplots(1, 2, sharey=True), (before, after), ("before", "after"), strict=True
    ):
        rows = reliability(truth, p_fake)
        counts = np.array([row[0] for row in rows])
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
        axes.plot([row[1] for row in rows], [row[2] for row in rows], color=_REAL, linewidth=1)
        axes.scatter(
            [row[1] for row in rows],
            [row[2] for row in rows],
            s=12 + 260 * counts / counts.max(),
            color=_REAL,
            alpha=0.6,
        )
        error = expected_calibration_error(truth, p_fake)
        axes.set(xlabel="predicted P(fake)", ylabel="share that is fake", title=f"{name} calibration: ECE {error:.3f}")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    return figure


def scores(truth: Truth, p_fake: Scores, threshold_real: float, threshold_fake: float) -> Figure:
    """Histogram of P(fake) by truth, with both thresholds."""
    figure = Figure(figsize=(9, 3.2), label="scores")
    axes = figure.subplots()
    bins = np.linspace(0, 1, 41)
    for of_class, name, colour in ((~truth, "real", _REAL), (truth, "fake", _FAKE)):
        if of_class.any():
            axes.hist(
                p_fake[of_class],
                bins.tolist(),
                alpha=0.6,
                color=colour,
                label=name,
                weights=np.full(of_class.sum(), 1 / of_class.sum()),
            )
    axes.axvspan(threshold_real, threshold_fake, color="grey", alpha=0.15, label="uncertain")
    axes.set(xlabel="P(fake)", ylabel="share of its class", title="Where the scores fall", xlim=(0, 1))
    axes.legend(fontsize=8)
    return figure


def robustness(found: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Curves over JPEG, scale, blur and noise: AUC (or, of one class, the share called wrongly) of each model."""
    kinds = ("JPEG quality", "scale", "blur, pixels", "noise, of 255")
    figure = Figure(figsize=(12, 3.4), label="robustness")
    for axes, kind in zip(figure.subplots(1, 4, sharey=True), kinds, strict=True):
        for model, result in found.items():
            rows = [row for row in result["conditions"] if row["kind"] == kind]
            rows.sort(key=lambda row: float(row["name"]), reverse=kind == "JPEG quality")
            axes.plot([row["name"] for row in rows], [_main(row) for row in rows], marker=".", label=model)
        axes.set(xlabel=kind)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.axes[0].set(ylabel="ROC AUC, pooled" if _has_auc(found) else "share called wrongly", ylim=(0, 1.02))
    figure.tight_layout()
    return figure


def _has_auc(found: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(result["conditions"][0]["roc_auc"] is not None for result in found.values())


def _main(row: Mapping[str, Any]) -> float:
    values = (row["roc_auc"], row["real_called_fake"], row["fake_called_real"])
    return float(next(value for value in values if value is not None))


def flips(found: Mapping[str, Any]) -> Figure:
    """Share of verdicts that change, by JPEG quality and scale."""
    grid = np.array(found["grid"], dtype=float)  # NaN where no face is large enough
    figure = Figure(figsize=(4.6, 3.6), label="flips")
    axes = figure.subplots()
    axes.imshow(grid, cmap="Oranges", vmin=0, vmax=np.nanmax([0.2, *grid.ravel()]), aspect="auto")
    for (row, column), share in np.ndenumerate(grid):
        axes.text(column, row, "–" if np.isnan(share) else f"{share:.1%}", ha="center", va="center")
    axes.set(xticks=range(len(found["scales"])), xticklabels=[f"{scale:g}" for scale in found["scales"]])
    axes.set(yticks=range(len(found["qualities"])), yticklabels=found["qualities"])
    axes.set(xlabel="scale", ylabel="JPEG quality", title="Verdicts that change")
    return figure
