"""Models that are swapped under a running service."""

import json
from pathlib import Path

from tests.serving import PATIENCE, request


def put(path: Path, content: bytes) -> None:
    """Write a file as it should be: whole, then renamed."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def version(address: str) -> str:
    return json.loads(request(f"{address}/model")[1])["version"]


def outcome(address: str, name: str) -> bool:
    return f'service_reloads_total{{outcome="{name}"}} 0.0' not in request(f"{address}/metrics")[1].decode()


def ask(address: str, key: str) -> int:
    import urllib.error
    import urllib.request

    asked = urllib.request.Request(f"{address}/model", headers={"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(asked, timeout=PATIENCE) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
