"""Requests a second with SERVICE_FACES off, report and crop, from real servers in one interleaved run."""

import io
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from tests.bench.serving import load
from tests.conftest import PUBLIC_DOMAIN, REPOSITORY
from tests.serving import free_port, request

MODES = ("off", "report", "crop")
# It takes pictures whole, so that every mode serves it; the default is only served cut-out faces.
MODEL = "models/residual-cnn/0.1.3/model.onnx"
SIDES = (300, 1024)
ROUNDS = 7
SECONDS = 3.0


def portrait(side: int) -> bytes:
    """Return a JPEG of one face, framed as a portrait."""
    picture = Image.open(PUBLIC_DOMAIN / "astronaut.png").convert("RGB").crop((140, 30, 300, 190))
    buffer = io.BytesIO()
    picture.resize((side, side), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def serve(mode: str, port: int) -> subprocess.Popen:
    """Start the service as a user does, quietly."""
    command = [sys.executable, "-m", "service", "--port", str(port), "--faces", mode]
    return subprocess.Popen([*command, "--model", MODEL, "--log-level", "error"], cwd=REPOSITORY)


def main() -> None:
    """Print the table; every mode stands beside ``off`` in the same rounds."""
    if not load.available():
        print("cost of faces: left out, wrk is not installed (Debian: apt-get install wrk)")
        return
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        ports = {mode: free_port() for mode in MODES}
        for mode, port in ports.items():
            opened.callback(opened.enter_context(serve(mode, port)).terminate)
            load.wait_for(lambda port=port: request(f"http://127.0.0.1:{port}/readyz")[0] == 200)
        title = f"cost of faces, {load.CONNECTIONS} connections"
        table = Table("", "requests a second", "to off", "milliseconds more", title=title)
        for side in SIDES:
            file = folder / f"{side}.request"
            file.write_bytes(load.request("/predict", "image/jpeg", portrait(side)))
            rates: dict[str, list[float]] = {mode: [] for mode in MODES}
            for number in range(ROUNDS + 1):
                for mode, port in ports.items():
                    reached = load.closed(port, [file], SECONDS).rate
                    if number:  # the first round warms up
                        rates[mode].append(reached)
            for mode in MODES:
                ratio = statistics.median(a / b for a, b in zip(rates[mode], rates["off"], strict=True))
                added_ms = statistics.median(
                    1000 / a - 1000 / b for a, b in zip(rates[mode], rates["off"], strict=True)
                )
                table.add_row(
                    f"{side} px, {mode}", f"{statistics.median(rates[mode]):.0f}", f"{ratio:.2f}", f"{added_ms:+.2f}"
                )
    Console().print(table)


if __name__ == "__main__":
    main()
