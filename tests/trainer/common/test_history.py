"""The history of a fit."""

from trainer.common.history import read_history, write_history


def test_a_history_that_gained_a_figure_is_still_read(tmp_path):
    path = tmp_path / "history.csv"
    write_history(
        path, [{"epoch": 1, "loss": 0.5, "seconds": 1.0}, {"epoch": 2, "loss": 0.4, "auc": 0.7, "seconds": 1.0}]
    )
    assert [row["auc"] for row in read_history(path)] == ["", 0.7]
