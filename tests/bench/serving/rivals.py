"""Who is compared: how each is started, what it is sent, and where its answer stands."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.serving import load
from tests.conftest import REPOSITORY

PEERS = Path(__file__).with_name("peers")
ENVIRONMENTS = REPOSITORY / ".venv-bench"
# It takes pictures whole, so that the service can answer without looking for faces, as the others do.
MODEL = REPOSITORY / "models" / "residual-cnn" / "0.1.3" / "model.onnx"
DEFAULT_MODEL = REPOSITORY / "models" / "efficientnet-lite" / "0.2.1" / "model.onnx"
_HERE = "tests.bench.serving.peers"


def as_form(payload: bytes, field_name: str = "file") -> bytes:
    """Return the request of an upload."""
    content_type, body = load.multipart(payload, field_name)
    return load.request("/predict", content_type, body)


def as_body(payload: bytes) -> bytes:
    """Return the request of a raw body."""
    return load.request("/predict", "image/jpeg", payload)


def for_triton(payload: bytes) -> bytes:
    """Return the request of the Open Inference Protocol with its binary extension."""
    tensor = {
        "name": "image",
        "shape": [len(payload)],
        "datatype": "UINT8",
        "parameters": {"binary_data_size": len(payload)},
    }
    head = json.dumps({"inputs": [tensor]}).encode()
    return load.request(
        "/v2/models/faces/infer",
        "application/octet-stream",
        head + payload,
        Inference_Header_Content_Length=str(len(head)),
    )


@dataclass(frozen=True, slots=True)
class Rival:
    """One row of the table.

    Attributes:
        name: as the table has it.
        command: starts it; ``{port}`` is where it listens.
        environment: variables that it needs.
        request: a picture as it takes it.
        fake: its answer's P(fake).
        lock: the file that its environment is installed from; empty: this project's own environment.
        comparable: whether it does the same work as the bare loop.
    """

    name: str
    command: tuple[str, ...]
    request: Callable[[bytes], bytes] = as_form
    environment: Mapping[str, str] = field(default_factory=dict)
    fake: Callable[[dict], float] = lambda answer: answer["fake"]
    lock: str = ""
    comparable: bool = True

    def start(self, port: int) -> tuple[list[str], dict[str, str]]:
        """Return command and environment for one port."""
        python = ENVIRONMENTS / self.lock / "bin" / "python" if self.lock else Path(sys.executable)
        command = [str(python), *(argument.replace("{port}", str(port)) for argument in self.command)]
        variables = {"MODEL": str(MODEL), "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}
        return command, os.environ | variables | self.environment


def service(*options: str, model: Path = MODEL) -> tuple[str, ...]:
    """Return the service's command."""
    return ("-m", "service", "--port", "{port}", "--model", str(model), "--log-level", "warning", *options)


def _own(answer: dict) -> float:
    return answer["probabilities"]["fake"]


def rivals(keras_model: Path) -> list[Rival]:
    """Return every row, this service's first.

    Args:
        keras_model: the same network as Keras saved it.
    """
    peer = "-m", f"{_HERE}.plain", "{port}"
    triton = {"PYTRITON_NO_TENSORSTORE": "1", "WORKERS": "2"}
    return [
        Rival("this service", service("--faces", "off"), fake=_own),
        Rival("this service, raw body", service("--faces", "off"), as_body, fake=_own),
        Rival("this service, 2 workers", service("--faces", "off", "--workers", "2"), fake=_own),
        Rival("this service, 2 workers, raw body", service("--faces", "off", "--workers", "2"), as_body, fake=_own),
        Rival("plain FastAPI", (*peer, "1")),
        Rival("plain FastAPI, 2 workers", (*peer, "2")),
        Rival(
            "LitServe, 2 workers",
            ("-m", f"{_HERE}.litserve_app", "{port}", "2"),
            lambda payload: as_form(payload, "request"),
            lock="litserve",
        ),
        Rival(
            "BentoML, 2 workers",
            ("-m", "bentoml", "serve", f"{_HERE}.bentoml_app:Faces", "--host", "127.0.0.1", "--port", "{port}"),
            environment={"WORKERS": "2", "BENTOML_DO_NOT_TRACK": "true"},
            lock="bentoml",
        ),
        Rival(
            "mosec, 2 workers, raw body",
            ("-m", f"{_HERE}.mosec_app", "--address", "127.0.0.1", "--port", "{port}", "--log-level", "warning"),
            as_body,
            {"WORKERS": "2"},
            lock="mosec",
        ),
        Rival(
            "Triton by pytriton, 2 instances",
            ("-m", f"{_HERE}.pytriton_app", "{port}"),
            for_triton,
            triton,
            lambda answer: answer["outputs"][0]["data"][0],
            "pytriton",
        ),
        Rival(
            "Keras model.predict",
            ("-m", f"{_HERE}.keras_predict", "{port}"),
            environment={"KERAS_MODEL": str(keras_model), "TF_CPP_MIN_LOG_LEVEL": "3"},
        ),
        Rival("this service, faces report", service(), fake=_own, comparable=False),
        Rival("this service, faces report, 2 workers", service("--workers", "2"), fake=_own, comparable=False),
        Rival(
            "this service, faces report, its default model", service(model=DEFAULT_MODEL), fake=_own, comparable=False
        ),
    ]
