"""Plots of a run and of an evaluation, for PNG files and HTML pages."""

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
    """Write a plot as PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, bbox_inches="tight")


def history(rows: Sequence[Mapping[str, Any]], best_epoch: int | None) -> Figure:
    """Plot accuracy and loss per epoch, training and validation; marks the kept epoch if known."""
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
    """Plot counts by true class (rows: real, fake) and verdict or prediction (columns)."""
    counts = np.array(matrix)
    figure = Figure(figsize=(1.6 + 1.3 * len(called), 3.6), label=title)
    axes = figure.subplots()
    # Shades are relative to the row, because the classes may differ in size.
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        share = count / max(counts[row].sum(), 1)
        text = f"{count}\n{share:.1%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if share > 0.5 else "black", fontsize=12)
    axes.set(xticks=range(len(called)), yticks=[0, 1], xticklabels=called, yticklabels=["real", "fake"])
    axes.set(xlabel="called", ylabel="true class", title=title)
    return figure


def roc(curves: Mapping[str, tuple[Truth, Scores]]) -> Figure:
    """Plot the ROC curves of one or several sets of scores, in full and at low false positive rates."""
    figure = Figure(figsize=(9, 4.2), label="roc")
    for axes, log in zip(figure.subplots(1, 2), (False, True), strict=True):
        for name, (truth, p_fake) in curves.items():
            false_positive_rate, true_positive_rate, _ = roc_curve(truth, p_fake)
            axes.plot(
                np.maximum(false_positive_rate, 1e-4 if log else 0),
                true_positive_rate,
                label=name,
                drawstyle="steps-post",
            )
        if log:
            axes.set(xscale="log", xlim=(1e-3, 1), title="low false positive rates, enlarged")
            for rate in (0.005, 0.01):
                axes.axvline(rate, color="grey", linestyle=":", linewidth=1)
        else:
            axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
            axes.set(title="ROC; positive class: fake")
        axes.set(xlabel="false positive rate", ylabel="true positive rate", ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=8)
    return figure


def reliability_diagram(truth: Truth, before: Scores, after: Scores) -> Figure:
    """Plot predicted against observed share of fakes, before and after temperature scaling."""
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
        axes.set(xlabel="predicted P(fake)", ylabel="share of fakes", title=f"{name} calibration: ECE {error:.3f}")
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    return figure


def scores(truth: Truth, p_fake: Scores, threshold_real: float, threshold_fake: float) -> Figure:
    """Plot the histogram of P(fake) by true class, with both thresholds."""
    figure = Figure(figsize=(9, 3.2), label="scores")
    axes = figure.subplots()
    bins = np.linspace(0, 1, 41)
    for mask, name, colour in ((~truth, "real", _REAL), (truth, "fake", _FAKE)):
        if mask.any():
            axes.hist(
                p_fake[mask],
                bins.tolist(),
                alpha=0.6,
                color=colour,
                label=name,
                weights=np.full(mask.sum(), 1 / mask.sum()),
            )
    axes.axvspan(threshold_real, threshold_fake, color="grey", alpha=0.15, label="uncertain")
    axes.set(xlabel="P(fake)", ylabel="share of class", title="Distribution of scores", xlim=(0, 1))
    axes.legend(fontsize=8)
    return figure


def robustness(results: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Plot AUC (for a single class: the share of wrong verdicts) of each model over JPEG, scale, blur and noise."""
    kinds = ("JPEG quality", "scale", "blur, pixels", "noise, of 255")
    figure = Figure(figsize=(12, 3.4), label="robustness")
    for axes, kind in zip(figure.subplots(1, 4, sharey=True), kinds, strict=True):
        for model, result in results.items():
            rows = [row for row in result["conditions"] if row["kind"] == kind]
            rows.sort(key=lambda row: float(row["name"]), reverse=kind == "JPEG quality")
            axes.plot(
                [row["name"] for row in rows], [_auc_or_wrong_share(row) for row in rows], marker=".", label=model
            )
        axes.set(xlabel=kind)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.axes[0].set(ylabel="ROC AUC, pooled" if _has_auc(results) else "share of wrong verdicts", ylim=(0, 1.02))
    figure.tight_layout()
    return figure


def _has_auc(results: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(result["conditions"][0]["roc_auc"] is not None for result in results.values())


def _auc_or_wrong_share(row: Mapping[str, Any]) -> float:
    values = (row["roc_auc"], row["real_called_fake"], row["fake_called_real"])
    return float(next(value for value in values if value is not None))


def flips(result: Mapping[str, Any]) -> Figure:
    """Plot the verdict flip rate by JPEG quality and scale."""
    grid = np.array(result["grid"], dtype=float)  # NaN if no face is large enough
    figure = Figure(figsize=(4.6, 3.6), label="flips")
    axes = figure.subplots()
    axes.imshow(grid, cmap="Oranges", vmin=0, vmax=np.nanmax([0.2, *grid.ravel()]), aspect="auto")
    for (row, column), share in np.ndenumerate(grid):
        axes.text(column, row, "–" if np.isnan(share) else f"{share:.1%}", ha="center", va="center")
    axes.set(xticks=range(len(result["scales"])), xticklabels=[f"{scale:g}" for scale in result["scales"]])
    axes.set(yticks=range(len(result["qualities"])), yticklabels=result["qualities"])
    axes.set(xlabel="scale", ylabel="JPEG quality", title="Verdict flip rate")
    return figure
