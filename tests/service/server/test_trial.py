"""A new model file is tried before any worker gets it."""

import signal
import time

import pytest

from tests.conftest import REPOSITORY
from tests.service.reloads import outcome, put, version
from tests.serving import children, serving, until


@pytest.mark.long
def test_a_model_that_was_taken_back_while_it_was_tried_is_not_served(models, tmp_path):
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
