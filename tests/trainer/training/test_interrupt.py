"""Ctrl-C while a model fits."""

import os
import signal
import threading

import keras
import numpy as np
import pytest

from trainer.training.interrupt import between_batches


class Press(keras.callbacks.Callback):
    """Press Ctrl-C while an epoch is being written down."""

    def __init__(self, times: int = 1) -> None:
        super().__init__()
        self.times, self.written = times, 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        for _ in range(self.times):
            os.kill(os.getpid(), signal.SIGINT)
        self.written += 1


def fit(*callbacks: keras.callbacks.Callback) -> None:
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((4, 2), np.float32)
    model.fit(x, x[:, :1], batch_size=2, epochs=3, verbose=0, callbacks=list(callbacks))


def test_a_press_while_an_epoch_is_written_ends_the_fit_after_it():
    press = Press()
    with pytest.raises(KeyboardInterrupt), between_batches() as interrupt:
        fit(press, interrupt)
    assert press.written == 1


def test_a_second_press_does_not_wait():
    press = Press(times=2)
    with pytest.raises(KeyboardInterrupt), between_batches() as interrupt:
        fit(press, interrupt)
    assert press.written == 0


def test_the_handler_before_is_back_afterwards():
    before = signal.getsignal(signal.SIGINT)
    with between_batches():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_may_fit_and_leaves_the_handler_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with between_batches() as interrupt:
            seen.append((signal.getsignal(signal.SIGINT), interrupt.pressed))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
