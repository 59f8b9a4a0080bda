"""What a prediction costs over HTTP, against the same decode, face search and session in a bare loop."""

import statistics
import threading
import time
from collections.abc import Callable

import uvicorn

from service.app import create_app
from service.contract.image.decode import decode
from service.contract.preparation import prepare
from service.contract.verdict.judgement import judge
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.settings import Settings
from tests.bench.serving.load import picture
from tests.bench.timing import Row, print_table

SIDES = (128, 300, 1024)
ROUNDS = 100


def interleaved(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Time two calls in turn, so that a drifting machine hits both; return median milliseconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_number in range(ROUNDS + 5):
        for call, taken in ((first, times[0]), (second, times[1])):
            start = time.perf_counter()
            call()
            if round_number >= 5:
                taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    """Serve the default model on a free port of this machine and compare."""
    import httpx2

    settings = Settings(port=0, log_level="error")
    engine = Engine.load(settings.model, EngineOptions("cpu", settings.inference_threads))
    server = uvicorn.Server(uvicorn.Config(create_app(settings, engine), port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    rows = []
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for side in SIDES:
            payload = picture(side)

            def bare(payload: bytes = payload) -> object:
                image = decode(payload, settings.limits, engine.spec.exif_policy)
                prepared = prepare(image, engine.spec.preprocessing, settings.face_policy)
                return judge(engine.logits(prepared.tensors), prepared, engine.spec, settings.face_policy)

            def served(payload: bytes = payload) -> object:
                return client.post("/predict", files={"file": payload}).raise_for_status()

            rows.append(Row(f"{side} px JPEG", *interleaved(served, bare)))
    server.should_exit = True
    thread.join()
    print_table("one request at a time, median ms", ("over HTTP", "bare loop"), rows)
