"""Plots: what is drawn is what was measured."""

import numpy as np
import pytest

from trainer.report import plots

TRUTH = np.array([False, False, True, True])
P_FAKE = np.array([0.1, 0.4, 0.35, 0.8])


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_history_draws_both_parts_and_marks_the_kept_epoch():
    """Training and validation, of accuracy and loss."""
    rows = [
        {"epoch": epoch, "accuracy": 0.5, "val_accuracy": 0.4, "loss": 1.0 / epoch, "val_loss": 2.0 / epoch}
        for epoch in (1, 2, 3)
    ]
    _, loss = plots.history(rows, 2).axes
    training, validation, kept = loss.get_lines()
    assert training.get_ydata().tolist() == [1.0, 0.5, 1 / 3]
    assert validation.get_ydata().tolist() == [2.0, 1.0, 2 / 3]
    assert list(kept.get_xdata()) == [2, 2]
    assert len(plots.history(rows, None).axes[1].get_lines()) == 2


def test_confusion_writes_counts_and_shares_of_rows():
    """A class without pictures has shares of 0, and no division by 0."""
    figure = plots.confusion([[3, 1], [0, 0]], ["real", "fake"], "title")
    assert texts(figure) == ["3\n75.0%", "1\n25.0%", "0\n0.0%", "0\n0.0%"]


def test_roc_has_every_curve_in_full_and_enlarged():
    """The curve of the hand-made scores goes through (0, 0.5) and (0.5, 1)."""
    full, enlarged = plots.roc({"model": (TRUTH, P_FAKE)}).axes
    (curve, chance) = full.get_lines()
    points = set(zip(curve.get_xdata().tolist(), curve.get_ydata().tolist(), strict=True))
    assert {(0.0, 0.5), (0.5, 1.0), (1.0, 1.0)} <= points
    assert chance.get_label() == "chance"
    assert enlarged.get_xscale() == "log"
    assert min(enlarged.get_lines()[0].get_xdata()) > 0


def test_reliability_diagram_titles_the_error_of_each_side():
    """Perfect scores have no error; constant ones are off by their distance from the share."""
    before, after = plots.reliability_diagram(TRUTH, np.full(4, 0.9), TRUTH.astype(float)).axes
    assert before.get_title() == "before calibration: ECE 0.400"
    assert after.get_title() == "after calibration: ECE 0.000"


def test_scores_gives_each_class_a_total_of_one():
    """Classes of different sizes are comparable."""
    axes = plots.scores(np.array([False, True, True, True]), np.array([0.1, 0.7, 0.8, 0.8]), 0.2, 0.6).axes[0]
    heights = [sum(bar.get_height() for bar in bars) for bars in axes.containers]
    assert heights == pytest.approx([1.0, 1.0])


def test_robustness_falls_back_to_wrong_shares_of_one_class():
    """Without both classes there is no AUC; JPEG runs from best to worst."""
    names = {"JPEG quality": ("30", "95"), "scale": ("0.5", "2"), "blur, pixels": ("1",), "noise, of 255": ("5",)}
    both, alone = (
        [
            {"kind": kind, "name": name, "roc_auc": auc, "real_called_fake": None, "fake_called_real": 0.25}
            for kind, values in names.items()
            for name in values
        ]
        for auc in (0.9, None)
    )
    figure = plots.robustness({"m": {"conditions": both}})
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == ["95", "30"]
    assert (figure.axes[0].get_ylabel(), list(figure.axes[1].get_lines()[0].get_ydata())) == (
        "ROC AUC, pooled",
        [0.9, 0.9],
    )
    figure = plots.robustness({"m": {"conditions": alone}})
    assert (figure.axes[0].get_ylabel(), list(figure.axes[1].get_lines()[0].get_ydata())) == (
        "share of wrong verdicts",
        [0.25, 0.25],
    )


def test_flips_writes_each_share_or_a_dash():
    """A cell without any face that is large enough has no share."""
    result = {"grid": [[0.0, None], [0.125, 0.5]], "scales": (0.5, 1.0), "qualities": (50, 90)}
    assert texts(plots.flips(result)) == ["0.0%", "–", "12.5%", "50.0%"]


def test_saved_plot_is_a_png_whole_or_not_at_all(tmp_path):
    """Nothing is left beside it."""
    plots.save(plots.confusion([[1, 0], [0, 1]], ["real", "fake"], "title"), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]
