"""The bare loop, which is the limit: the same decode and the same session in two threads, without HTTP."""

import threading
import time
from pathlib import Path

from service.resources import cpu_count
from tests.bench.serving.process import cost


def bare_loop(model: Path, payload: bytes, seconds: float) -> tuple[float, float]:
    """Score one picture over and over in as many threads as there are processors.

    Returns:
        Pictures a second, and milliseconds of CPU a picture.
    """
    import os

    os.environ["MODEL"] = str(model)
    from tests.bench.serving.peers.scoring import load, score

    engine, counts = load(), [0] * cpu_count()
    score(engine, payload)
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            score(engine, payload)
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(counts))]
    before, start = cost(os.getpid()).cpu_ms, time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - start
    return sum(counts) / spent, (cost(os.getpid()).cpu_ms - before) / sum(counts)
