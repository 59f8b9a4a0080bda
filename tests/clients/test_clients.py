"""Clients that others wrote, unchanged, against a real server: Triton's, KServe's, and one generated from OpenAPI."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import request, serving

PYTHON = REPOSITORY / ".venv-clients" / "bin" / "python"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not PYTHON.exists():
        pytest.skip("needs the environment of the clients: make .venv-clients/installed")
    with serving(tmp_path_factory.mktemp("served"), REPOSITORY) as (address, _):
        yield address


@pytest.fixture(scope="module")
def picture(astronaut, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "face.png"
    astronaut.save(path)
    return path


@pytest.fixture(scope="module")
def alone(server, picture) -> dict:
    return timeless(json.loads(request(f"{server}/predict", picture.read_bytes())[1]))


def timeless(prediction: dict) -> dict:
    return {name: value for name, value in prediction.items() if name != "timings_ms"}


def told(script: str, *arguments: object) -> dict:
    command = [PYTHON, "-W", "ignore", Path(__file__).with_name(script), *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


def test_tritons_client_works_unchanged(server, picture, alone):
    name = alone["model"]["name"]
    answers = told("by_triton.py", server.removeprefix("http://"), name, picture)
    assert [answers[key] for key in ("live", "ready", "model_ready", "other_ready")] == [True, True, True, False]
    assert answers["server"]["extensions"] == ["binary_tensor_data"]
    assert answers["model"]["versions"] == [alone["model"]["version"]]
    assert {tensor["name"] for tensor in answers["model"]["inputs"]} == {"image", "pixels"}
    assert answers["id"] == "of two"
    assert [timeless(prediction) for prediction in answers["predictions"]] == [alone, alone]
    pair = list(alone["probabilities"].values())
    assert answers["verdicts"] == [alone["verdict"]] * 2
    assert answers["probabilities"] == [pair, pair]
    assert answers["pixels_True"] == [[alone["verdict"]], [pair]]
    assert answers["pixels_False"][0][0] in ("real", "fake", "uncertain")
    assert answers["wrong"] == ["400", "input 'pixels' has datatype 'FP32', not 'UINT8'"]


def test_kserves_client_works_unchanged(server, picture, alone):
    answers = told("by_kserve.py", server, alone["model"]["name"], picture)
    assert [answers[key] for key in ("live", "ready", "model_ready")] == [True, True, True]
    for answer in (answers["binary_True"], answers["binary_False"]):
        assert answer["id"] == "mine"
        assert answer["verdict"] == alone["verdict"]
        assert timeless(answer["prediction"]) == alone
        assert [number for row in answer["probabilities"] for number in ([row] if isinstance(row, float) else row)] == (
            list(alone["probabilities"].values())
        )
