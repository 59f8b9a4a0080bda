"""The service as a user runs it: a process of its own on a free port of this machine."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Seconds: a slow machine fails no test, a process that hangs does.
PATIENCE = 600.0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def request(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    headers = {"Content-Type": "image/jpeg"} if body else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=PATIENCE) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


@contextmanager
def serving(
    folder: Path, python_path: Path, *arguments: str, **environment: str
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Run ``python -m service`` from ``folder`` and yield its address once it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "--port", str(port), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(python_path), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    with once_ready(process, port) as address:
        yield address, process


@contextmanager
def once_ready(process: subprocess.Popen, port: int) -> Iterator[str]:
    """Yield the address of a service that was started on a port, once it is ready; kill it in the end."""
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: request(f"{address}/readyz")[0] == 200, process, interval_s=0.05)
        yield address
    finally:
        process.kill()
        process.communicate()


def children(parent: int) -> set[int]:
    """Return the worker processes of a process (the resource tracker is none)."""
    pids = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status, command = (entry / "status").read_text(), (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"\nPPid:\t{parent}\n" in status and b"spawn_main" in command:
            pids.add(int(entry.name))
    return pids


def until(condition: Callable[[], object], *alive: subprocess.Popen, interval_s: float = 0.02) -> None:
    """Wait for a condition, which must come before one of the processes ends."""
    end = time.monotonic() + PATIENCE
    while not condition():
        for process in alive:
            assert process.poll() is None, process.stderr.read() if process.stderr else process.returncode
        assert time.monotonic() < end
        time.sleep(interval_s)
