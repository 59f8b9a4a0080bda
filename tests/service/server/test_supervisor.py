"""Workers: replaced with what the others have, and reached by every new file."""

import json
import os
import signal
import time

import pytest

from service.lifecycle.keys import new_key
from tests.conftest import REPOSITORY
from tests.service.reloads import ask, put, version
from tests.serving import PATIENCE, children, request, serving, until


def test_polling_reaches_all_workers(models, tmp_path):
    path, _, second = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--model-poll-s", "0.2")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, _):
        put(path, second)
        until(lambda: all(version(address) == "2" for _ in range(10)))


@pytest.mark.long
def test_worker_replaced_with_invalid_keys_gets_the_old_keys(models, tmp_path):
    path, *_ = models
    keys, (key, line) = tmp_path / "keys", new_key("alice")
    keys.write_text(line)
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--api-keys", str(keys))
    with serving(tmp_path, REPOSITORY, *arguments, "--log-level", "warning") as (address, process):
        keys.write_text("broken")
        process.send_signal(signal.SIGHUP)
        assert json.loads(process.stderr.readline())["message"] == "new API keys are refused, and the old ones stay"
        until(lambda: len(children(process.pid)) == 2)
        (victim, *_) = children(process.pid)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(children(process.pid) - {victim}) == 2)
        for _ in range(20):
            until(lambda: ask(address, key) == 200)
        assert process.poll() is None


@pytest.mark.long
def test_removed_worker_files_are_written_again(models, tmp_path):
    path, *_ = models
    keys, (key, line) = tmp_path / "keys", new_key("alice")
    keys.write_text(line)
    series = tmp_path / "series"
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2", "--api-keys", str(keys))
    arguments += ("--metrics-dir", str(series), "--log-level", "error")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        (folder,) = series.iterdir()
        assert folder.stat().st_mode & 0o077 == 0
        time.sleep(3)  # both have started
        for name in ("model.onnx", "keys.txt"):
            (folder / name).unlink()
        (victim, *_) = children(process.pid)
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(children(process.pid) - {victim}) == 2)
        for _ in range(20):
            until(lambda: ask(address, key) == 200)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert list(series.iterdir()) == []


@pytest.mark.long
def test_worker_signalled_while_starting_is_not_killed(models, tmp_path):
    """Polled at every look, from the first on."""
    path, *_ = models
    arguments = ("--model", str(path), "--faces", "off", "--workers", "2")
    with serving(tmp_path, REPOSITORY, *arguments) as (address, process):
        for _ in range(3):
            before = children(process.pid)
            victim = min(before)
            os.kill(victim, signal.SIGKILL)
            until(lambda before=before: children(process.pid) - before)
            process.send_signal(signal.SIGHUP)  # which reaches the new one while it imports
            (new,) = children(process.pid) - before
            time.sleep(2)
            assert new in children(process.pid)
            assert request(f"{address}/readyz")[0] == 200
