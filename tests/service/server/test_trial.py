"""A new model file is tried before any worker gets it."""

import errno
import multiprocessing
import signal
import time
from pathlib import Path

import pytest

from service.errors import StartError
from service.server.trial import Trial
from service.settings import Settings
from tests.conftest import REPOSITORY
from tests.service.reloads import outcome, put, version
from tests.serving import children, serving, until


@pytest.mark.long
def test_model_replaced_during_its_trial_is_not_served(models, tmp_path):
    path, first, second = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--log-level", "error")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        put(path, second)
        process.send_signal(signal.SIGHUP)
        until(lambda: len(children(process.pid)) == 3)  # the trial has begun
        put(path, first)
        process.send_signal(signal.SIGHUP)
        until(lambda: outcome(address, "unchanged"))
        time.sleep(2)
        assert not outcome(address, "swapped")
        assert {version(address) for _ in range(10)} == {"1"}


def test_trial_that_cannot_start_leaves_nothing_behind(monkeypatch, tmp_path):
    """A system that has no process left refuses the file, which is tried again at the next signal."""

    def start(_: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", start)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(StartError, match="cannot be tried: Resource temporarily unavailable"):
        Trial(Settings(), b"model", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before
