"""A terminal that closes ends the service."""

import os
import signal

import pytest

from tests.conftest import REPOSITORY
from tests.service.reloads import outcome
from tests.serving import free_port, request, until


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_closed_terminal_still_ends_the_service(models, workers):
    import pty
    import sys

    path, *_ = models
    port = free_port()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests run under nohup ignore it, and so would the service
        arguments = ["-m", "service", "--model", str(path), "--faces", "off", "--port", str(port), "--workers", workers]
        os.execv(sys.executable, [sys.executable, *arguments, "--log-level", "error"])  # noqa: S606
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: request(f"{address}/readyz")[0] == 200)
        os.kill(pid, signal.SIGHUP)  # a reload, as long as the terminal is there
        until(lambda: not outcome(address, "swapped") and outcome(address, "unchanged"))
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    until(lambda: request(f"{address}/readyz")[0] == 0)
