"""Images a second on a CUDA device by batch size, beside one CPU core and beside the device's own limit.

``python -m tests.bench.cuda_rate`` says so and measures nothing where there is no such device.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.table import Table

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.inference.session import ProviderError
from service.model_settings import default_model

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
IN_FLIGHT = 2
_SECONDS = 1.0


def rate(engine: Engine, batch: int, in_flight: int, seconds: float = _SECONDS) -> float:
    """Return images a second through the service's own engine, pictures and logits in host memory."""
    size = engine.spec.input_height, engine.spec.input_width
    images = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), dtype=np.uint8)
    engine.logits(images)
    start = time.perf_counter()

    def work() -> int:
        done = 0
        while time.perf_counter() - start < seconds:
            engine.logits(images)
            done += batch
        return done

    with ThreadPoolExecutor(in_flight) as threads:
        done = sum(future.result() for future in [threads.submit(work) for _ in range(in_flight)])
    return done / (time.perf_counter() - start)


def limit(engine: Engine, batch: int, device: str, seconds: float = _SECONDS) -> float:
    """Return images a second with pictures and logits left on the device: what no server can beat."""
    size = engine.spec.input_height, engine.spec.input_width
    images = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), dtype=np.uint8)
    binding = engine._session.io_binding()
    binding.bind_ortvalue_input("image", ort.OrtValue.ortvalue_from_numpy(images, device, 0))
    binding.bind_output("logits", device)
    engine._session.run_with_iobinding(binding)
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        engine._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        done += batch
    return done / (time.perf_counter() - start)


def main() -> None:
    """Print the table, or that there is nothing to measure on."""
    path = default_model()
    try:
        cuda = Engine.load(path, EngineOptions("cuda", max_batch=max(BATCHES)))
    except ProviderError as error:
        print(f"CUDA: left out, {error}")
        return
    core = rate(Engine.load(path, EngineOptions("cpu", 1)), 1, 1)
    table = Table(
        "images in a run", "a second", "to one CPU core", "to the device's limit", title="the default on CUDA"
    )
    for batch in BATCHES:
        reached = rate(cuda, batch, IN_FLIGHT)
        table.add_row(
            str(batch), f"{reached:.0f}", f"{reached / core:.1f}", f"{reached / limit(cuda, batch, 'cuda'):.2f}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
