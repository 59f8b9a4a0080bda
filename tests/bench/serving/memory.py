"""Whether memory stays flat: resident set over many requests of mixed sizes and formats.

``python -m tests.bench.serving.memory 100000`` prints a row every twentieth part, and the growth from
the first tenth to the last; it writes the curve to build/bench/memory.png.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.serving import load
from tests.bench.serving.process import cost
from tests.conftest import REPOSITORY
from tests.serving import free_port, request

SIDES = (96, 128, 200, 256, 300, 512, 640, 800, 1024, 1500)
FORMATS = ("JPEG", "JPEG", "PNG", "WEBP")
RESULTS = REPOSITORY / "build" / "bench"


def write_requests(folder: Path) -> list[Path]:
    """Write one request for every size in turn of formats, and of forms and raw bodies."""
    files = []
    for number, side in enumerate(SIDES * 2):
        payload = load.picture(side, FORMATS[number % len(FORMATS)])
        content_type, body = load.multipart(payload) if number % 2 else ("image/jpeg", payload)
        files.append(folder / f"{number}.request")
        files[-1].write_bytes(load.request("/predict", content_type, body))
    return files


def curve(total: int, arguments: list[str]) -> list[tuple[int, float]]:
    """Serve ``total`` requests; return (requests so far, MiB resident), from before the first on."""
    port = free_port()
    command = [sys.executable, "-m", "service", "--port", str(port), "--log-level", "warning", *arguments]
    with subprocess.Popen(command, cwd=REPOSITORY) as server, tempfile.TemporaryDirectory() as folder:
        try:
            load.wait_for(lambda: request(f"http://127.0.0.1:{port}/readyz")[0] == 200)
            files, done = write_requests(Path(folder)), 0
            points = [(0, cost(server.pid).resident_mib)]
            while done < total:
                result = load.closed(port, files, 5 if total < 20_000 else 20)
                assert not result.broken
                done += result.requests - result.refused
                points.append((done, cost(server.pid).resident_mib))
                print(f"{time.strftime('%H:%M:%S')} {done} requests, {points[-1][1]:.1f} MiB", flush=True)
        finally:
            server.terminate()
    return points


def growth(points: list[tuple[int, float]]) -> float:
    """Return by what share the last tenth of the requests lies over the first, the warm-up's first slice aside."""
    total = points[-1][0]
    first = [mib for done, mib in points[1:] if done <= max(total / 10, points[1][0])]
    last = [mib for done, mib in points if done >= total * 0.9]
    return sum(last) / len(last) / (sum(first) / len(first)) - 1


def plot(points: list[tuple[int, float]]) -> Path:
    """Draw the curve."""
    import matplotlib.pyplot as plt

    RESULTS.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.plot(*zip(*points, strict=True))
    axes.set(xlabel="requests", ylabel="resident, MiB", ylim=(0, None), title="memory over mixed requests")
    figure.tight_layout()
    figure.savefig(RESULTS / "memory.png", dpi=120)
    plt.close(figure)
    return RESULTS / "memory.png"


def main(total: int = 5_000, *arguments: str) -> None:
    """Print the table; further arguments are the service's."""
    points = curve(total, list(arguments))
    table = Table("requests", "MiB resident", title="memory over mixed requests, 96 to 1500 pixels")
    for done, mib in points[:: max(1, len(points) // 20)]:
        table.add_row(str(done), f"{mib:.1f}")
    Console().print(table)
    print(
        f"growth from the first tenth to the last: {growth(points):+.1%}; curve: {plot(points).relative_to(REPOSITORY)}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000, *sys.argv[2:])
