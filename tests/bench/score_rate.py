"""Images a second: `service score` by one thread, all, and two Ray workers; and a client, alone and in batches."""

import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.client import Client
from service.resources import cpu_count
from tests.conftest import FACES, PUBLIC_DOMAIN, REPOSITORY
from tests.serving import serving

SETS = ("lfw/real", "ffhq-128/real", "celeba/real", "stylegan2-512/fake")
MOST, BATCH, ROUNDS = 2000, 64, 2


def pictures() -> list[Path]:
    """Return real faces where they are at hand, else one portrait again and again."""
    paths = [path for name in SETS for path in sorted((FACES / name).glob("*"))]
    return paths[:: max(1, len(paths) // MOST)][:MOST] or [PUBLIC_DOMAIN / "astronaut.png"]


def scored(paths: list[Path], *arguments: str) -> float:
    """Return files a second, the start of everything included."""
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(itertools.islice(itertools.cycle(paths), MOST)):
            (Path(folder) / f"{number:05}{path.suffix}").symlink_to(path)
        command = [sys.executable, "-m", "service", "score", folder, "--output", f"{folder}/out.jsonl", *arguments]
        start = time.perf_counter()
        subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
        return MOST / (time.perf_counter() - start)


def asked(paths: list[Path]) -> tuple[float, float]:
    """Return verdicts a second of one client: one after the other, and in batches."""
    payloads = [path.read_bytes() for path in itertools.islice(itertools.cycle(paths), 10 * BATCH)]
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), REPOSITORY, "--log-level", "error") as (url, _),
        Client(url, timeout_s=60) as client,
    ):
        start = time.perf_counter()
        for payload in payloads:
            client.predict(payload)
        alone = time.perf_counter()
        for first in range(0, len(payloads), BATCH):
            client.predict_batch(payloads[first : first + BATCH])
        return len(payloads) / (alone - start), len(payloads) / (time.perf_counter() - alone)


def main() -> None:
    paths = pictures()
    table = Table(title=f"images a second, {MOST} files, of all threads = 1")
    for column in ("round", "one thread", f"{cpu_count()} threads", "2 Ray workers", "client, alone", f"of {BATCH}"):
        table.add_column(column)
    for number in range(ROUNDS):
        rates = [scored(paths, "--threads", "1"), scored(paths), scored(paths, "--engine", "ray"), *asked(paths)]
        table.add_row(str(number + 1), *(f"{rate:.0f} ({rate / rates[1]:.2f})" for rate in rates))
    Console().print(table)


if __name__ == "__main__":
    main()
