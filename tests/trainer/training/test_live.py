"""What a terminal shows of a fit."""

import io

from rich.console import Console

from trainer.training.live import LiveView


def test_the_view_shows_epochs_figures_rate_and_time_left(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("trainer.training.live.time.monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), force_terminal=False, width=120)
    view = LiveView(console, 10, 32, [{"epoch": 1, "loss": 0.7, "val_loss": 0.6, "val_auc": 0.81, "seconds": 20.0}])
    view.set_params({"steps": 20})
    view._live = object()  # as on a terminal
    view.on_epoch_begin(1)
    assert view.status() == "epoch 2 of 10: starting"
    for batch in range(10):
        now[0] += 0.5
        view.on_train_batch_end(batch, {"loss": 0.5, "auc": 0.9})
    assert view.status() == "epoch 2 of 10, 64 pictures a second, about 3 min left"
    console.print(view.render())
    shown = console.file.getvalue()
    for text in ("AUC, validation", "0.8100", "0.9000", "10/20", "2 …"):
        assert text in shown
