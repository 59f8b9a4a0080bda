"""What people see: a camera against single requests, evidence against a verdict, a video, and the page itself."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from PIL import Image
from rich.console import Console
from rich.table import Table
from websockets.sync.client import connect

from service.api.page import _FOLDER as PAGE
from service.client import Client
from tests.conftest import FACES, PUBLIC_DOMAIN, REPOSITORY
from tests.serving import request, serving

FRAMES, RUNS = 200, 3
CLIPS = ("real/035.mp4", "real/examples__video.mp4")


def frame() -> bytes:
    """Return a camera's picture, 640 x 480."""
    import io

    buffer = io.BytesIO()
    portrait = Image.open(PUBLIC_DOMAIN / "astronaut.png").convert("RGB")
    portrait.crop((90, 0, 420, 248)).resize((640, 480)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def milliseconds(call: Callable[[], object], count: int) -> float:
    """Return the median of some calls."""
    spent = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - start))
    return median(spent)


def measured(url: str) -> dict[str, float]:
    """Return median milliseconds of each way to ask."""
    payload = frame()
    address = url.replace("http", "ws") + "/stream"

    def shown() -> None:
        camera.send(payload)
        assert "prediction" in json.loads(camera.recv())

    with Client(url) as client, connect(address, compression=None) as camera:
        durations = {
            "POST /predict": milliseconds(lambda: client.predict(payload), FRAMES),
            "a frame of WS /stream": milliseconds(shown, FRAMES),
            "POST /explain": milliseconds(lambda: request(f"{url}/explain", payload), FRAMES),
            "POST /explain?format=png": milliseconds(
                lambda: request(f"{url}/explain?format=png", payload), FRAMES // 4
            ),
        }

    def page() -> None:
        request(f"{url}/")
        for path in PAGE.iterdir():
            request(f"{url}/page/{path.name}")

    durations["every part of the page"] = milliseconds(page, RUNS)
    for name in CLIPS:
        path = FACES / "videos" / name
        if path.exists():
            durations[f"POST /predict/video, {name}"] = milliseconds(lambda path=path: ask_video(url, path), RUNS)
    return durations


def ask_video(url: str, path: Path) -> None:
    import httpx

    response = httpx.post(f"{url}/predict/video", files={"file": path.read_bytes()}, timeout=60)
    assert response.status_code == 200, response.text


def main() -> None:
    table = Table(title="milliseconds (median), and beside POST /predict", show_lines=False)
    for column in ("what", "ms", "ratio"):
        table.add_column(column)
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), REPOSITORY, "--log-level", "error") as (url, _),
    ):
        durations = measured(url)
    for what, spent in durations.items():
        table.add_row(what, f"{spent:.1f}", f"{spent / durations['POST /predict']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
