"""What a terminal shows of a run."""

import os

from tests.conftest import REPOSITORY
from tests.service.offline.scoring import command


def test_a_bar_shows_rate_and_time_left_on_a_terminal(archive, model, tmp_path):
    import pty

    shown = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        shown.extend(data)
        return data

    output = tmp_path / "out.jsonl"
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        arguments = command(archive, "--output", output, "--model", model)
        os.execvpe(arguments[0], arguments, os.environ | {"COLUMNS": "120", "TERM": "xterm"})  # noqa: S606
    try:
        while read(descriptor):
            pass
    except OSError:  # it has ended
        pass
    assert os.waitpid(pid, 0)[1] == 0
    text = shown.decode()
    assert "10/10" in text
    assert "files/s" in text
    assert "0:00:0" in text
