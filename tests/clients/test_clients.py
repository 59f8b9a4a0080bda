"""Clients that others wrote, unchanged, against a real server: Triton's, KServe's, and one generated from OpenAPI."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, request, serving

pytestmark = pytest.mark.long

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


def told(script: str, *arguments: object, beside: Path | None = None) -> dict:
    command = [PYTHON, "-W", "ignore", Path(__file__).with_name(script), *map(str, arguments)]
    environment = os.environ | ({"PYTHONPATH": str(beside)} if beside else {})
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment)
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


@pytest.fixture
def generated(server, tmp_path) -> Path:
    """The folder of a client that is generated from the document of a server."""
    document = tmp_path / "openapi.json"
    document.write_bytes(request(f"{server}/openapi.json")[1])
    command = [PYTHON.with_name("openapi-python-client"), "generate", "--path", document, "--output-path", "client"]
    command += ["--fail-on-warning"]
    environment = os.environ | {"PATH": f"{PYTHON.parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE, env=environment
    )
    # The one thing that it does not know is a body that is the picture itself; a form does as well.
    warnings = [line for line in ended.stdout.splitlines() if "WARNING" in line or "nsupported" in line]
    assert [line for line in warnings if "image/*" not in line and "WARNING parsing" not in line] == []
    assert "Endpoint will not be generated" not in ended.stdout
    return tmp_path / "client"


def test_a_client_generated_from_the_document_works(server, picture, alone, generated):
    answers = told("by_generated.py", server, picture, beside=generated)
    assert answers["ready"] == "ready"
    assert timeless(answers["prediction"]) == alone
    assert answers["refused"] == "unsupported_format"
    assert answers["batch"] == [200, 415]
    assert answers["v2"] == [alone["verdict"]]
