"""This service beside other servers: one run, one machine, the same model file, pictures and session options.

``python -m tests.bench.serving.side_by_side`` takes about 20 minutes, prints the tables, and writes them and
the plot to build/bench. ``--quick`` measures once and shorter. Names after it choose rows by how they begin.
"""

import argparse
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.serving import load, report
from tests.bench.serving.bare import bare_loop
from tests.bench.serving.process import cost, tree
from tests.bench.serving.rivals import ENVIRONMENTS, MODEL, PEERS, Rival, rivals
from tests.conftest import REPOSITORY
from tests.serving import free_port

SIDES = (128, 300, 1024)
MIDDLE = 300
_TOLERANCE = 1e-5


@dataclass(slots=True)
class Measurements:
    """What one rival showed, over all rounds."""

    ready_s: list[float] = field(default_factory=list)
    closed: dict[int, list[load.Closed]] = field(default_factory=dict)
    cpu_ms: dict[int, list[float]] = field(default_factory=dict)
    peak_mib: list[float] = field(default_factory=list)
    calm: list[load.Open] = field(default_factory=list)
    flooded: list[load.Open] = field(default_factory=list)

    def rate(self, side: int) -> float:
        """Return the median of good answers a second."""
        return statistics.median(result.rate for result in self.closed[side])


def environment(name: str) -> None:
    """Install a peer's environment from its lock, if that is not done."""
    folder, lock = ENVIRONMENTS / name, PEERS / f"{name}.lock"
    done = folder / "installed"
    if done.exists() and done.stat().st_mtime >= lock.stat().st_mtime:
        return
    print(f"installing {name}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "-r", str(lock)], check=True)
    done.touch()


def ask(port: int, content: bytes) -> dict | None:
    """Send one ready-made request; return its answer, or None where there is none yet."""
    head, _, body = content.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    url = f"http://127.0.0.1:{port}{first.split()[1]}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as response:
            return json.load(response)
    except (OSError, ValueError):
        return None


@contextmanager
def running(rival: Rival, content: bytes, folder: Path) -> Iterator[tuple[int, int, float]]:
    """Start a server; yield its port, its process, and the seconds until it first answered a picture."""
    port = free_port()
    command, variables = rival.start(port)
    with (folder / "server.log").open("wb") as log:
        start = time.perf_counter()
        server = subprocess.Popen(command, cwd=REPOSITORY, env=variables, stdout=log, stderr=log)
        try:
            try:
                load.wait_for(lambda: server.poll() is not None or ask(port, content) is not None, 600)
            except TimeoutError:
                server.kill()
                server.wait()
            if server.poll() is not None:
                raise RuntimeError(f"{rival.name} did not start:\n{(folder / 'server.log').read_text()[-2000:]}")
            yield port, server.pid, time.perf_counter() - start
        finally:
            for pid in reversed(tree(server.pid)):
                subprocess.run(["kill", str(pid)], check=False, capture_output=True)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
            time.sleep(0.5)


def measure(rival: Rival, pictures: dict[int, bytes], measurements: Measurements, seconds: float, folder: Path) -> None:
    """Measure a rival once, from its start to its end."""
    files = {}
    for side, payload in pictures.items():
        files[side] = folder / f"{side}.request"
        files[side].write_bytes(rival.request(payload))
    with running(rival, files[MIDDLE].read_bytes(), folder) as (port, pid, ready_s):
        measurements.ready_s.append(ready_s)
        load.closed(port, [files[MIDDLE]], 1)  # warms up
        for side, file in files.items():
            before = cost(pid).cpu_ms
            result = load.closed(port, [file], seconds)
            measurements.closed.setdefault(side, []).append(result)
            measurements.cpu_ms.setdefault(side, []).append((cost(pid).cpu_ms - before) / (result.requests or 1))
        capacity = measurements.closed[MIDDLE][-1].rate
        measurements.calm.append(load.by_the_clock(port, files[MIDDLE], capacity * 0.8, seconds))
        measurements.flooded.append(load.by_the_clock(port, files[MIDDLE], capacity * 2, seconds))
        measurements.peak_mib.append(cost(pid).peak_mib)


def same_answers(chosen: list[Rival], pictures: dict[int, bytes], folder: Path) -> None:
    """Hold every rival's P(fake) against the first one's.

    Raises:
        RuntimeError: they differ by more than 1e-5, so that there is nothing to compare.
    """
    expected: dict[int, float] = {}
    for rival in chosen:
        with running(rival, rival.request(pictures[MIDDLE]), folder) as (port, _, _):
            for side, payload in pictures.items():
                answer = ask(port, rival.request(payload))
                fake = rival.fake(answer) if answer else float("nan")
                if not abs(fake - expected.setdefault(side, fake)) <= _TOLERANCE:
                    raise RuntimeError(f"{rival.name}: P(fake) {fake} of {side} px, not {expected[side]}")


def versions() -> dict[str, str]:
    """Return the pinned version of each peer, and of what they all use."""
    versions_by_package = {
        name: importlib.metadata.version(name) for name in ("fastapi", "uvicorn", "onnxruntime", "pillow", "keras")
    }
    for name, package in (
        ("litserve", "litserve"),
        ("bentoml", "bentoml"),
        ("mosec", "mosec"),
        ("pytriton", "nvidia-pytriton"),
    ):
        lines = (PEERS / f"{name}.lock").read_text().splitlines()
        versions_by_package[package] = next(
            line.split("==")[1].split()[0] for line in lines if line.startswith(f"{package}==")
        )
    return versions_by_package


def main(arguments: list[str] | None = None) -> None:
    """Measure in interleaved rounds, print and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("rows", nargs="*", help="only rows whose names begin so")
    chosen = parser.parse_args(arguments)
    if not load.available():
        print("side by side: left out, wrk is not installed (Debian: apt-get install wrk)")
        return
    rounds, seconds = (1, 2.0) if chosen.quick else (chosen.rounds, chosen.seconds)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        keras_model = folder / "model.keras"
        command = ["-m", "tests.bench.serving.keras_twin", str(MODEL), str(keras_model)]
        everyone = rivals(keras_model)
        some = [r for r in everyone if not chosen.rows or r.name.startswith(tuple(chosen.rows))]
        for name in sorted({rival.lock for rival in some if rival.lock}):
            environment(name)
        if any("keras" in argument for rival in some for argument in rival.command):
            subprocess.run([*everyone[0].start(0)[0][:1], *command], cwd=REPOSITORY, check=True, capture_output=True)
        pictures = {side: load.picture(side) for side in SIDES}
        same_answers([rival for rival in some if rival.comparable], pictures, folder)
        results = {rival.name: Measurements() for rival in some}
        limit: dict[int, list[tuple[float, float]]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side, payload in pictures.items():
                limit[side].append(bare_loop(MODEL, payload, seconds))
            # Each round begins with another, so that nobody always runs first.
            first = number * len(some) // rounds
            for rival in some[first:] + some[:first]:
                print(f"{datetime.now(UTC):%H:%M:%S} round {number + 1} of {rounds}: {rival.name}", flush=True)
                measure(rival, pictures, results[rival.name], seconds, folder)
    report.write(results, limit, versions())


if __name__ == "__main__":
    main()
