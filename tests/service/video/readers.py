"""Videos sent to the service, and the processes that read them."""

import os
from pathlib import Path

from service.api.video_schemas import VideoPrediction
from tests.serving import until


def ask(client, payload: bytes, status: int = 200) -> dict:
    response = client.post("/predict/video", files={"file": payload})
    assert response.status_code == status, response.text
    if status == 200:
        VideoPrediction.model_validate(response.json(), extra="forbid")
    return response.json()


def readers() -> list[int]:
    """Return the processes that read a video for this one."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"service.video.reader" in (folder / "cmdline").read_bytes():
                pids.append(int(folder.name))
        except (OSError, IndexError):  # it has ended
            continue
    return pids


def until_reader() -> int:
    seen: list[int] = []

    def is_there() -> bool:
        seen.extend(readers())
        return bool(seen)

    until(is_there, interval_s=0.005)
    return seen[0]
