"""JSON messages of the Open Inference Protocol v2."""

import reprlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.contract.text import one_line

Size = Annotated[int, Field(ge=0, le=1 << 40, strict=True)]
# The protocol allows strings, numbers and booleans by name; unknown parameters are ignored.
Parameters = Annotated[dict[str, Any], Field(default_factory=dict)]


class Input(BaseModel):
    """One input tensor: `image`, files as BYTES `[N]`, or `pixels`, UINT8 `[N, H, W, 3]` RGB.

    The elements are in `data`, row-major, flat or nested, or follow the JSON as `binary_data_size` bytes.
    """

    name: Annotated[str, Field(max_length=100)]
    shape: Annotated[list[Size], Field(max_length=8)]
    datatype: Annotated[str, Field(max_length=20)]
    parameters: Parameters
    data: Annotated[list[Any] | None, Field(description="BYTES: base64 strings. UINT8: integers.")] = None


class WantedOutput(BaseModel):
    """One requested output. The parameter `binary_data` sends it as binary data after the JSON."""

    name: Annotated[str, Field(max_length=100)]
    parameters: Parameters


class InferenceRequest(BaseModel):
    """An inference request, with the pictures in one tensor."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["/9j/4AAQ…"]}]}
        }
    )

    id: Annotated[str | None, Field(max_length=200)] = None
    parameters: Parameters
    inputs: Annotated[list[Input], Field(min_length=1, max_length=1)]
    outputs: Annotated[
        list[WantedOutput] | None,
        Field(max_length=16, description="Requested outputs. Default: all outputs of the model."),
    ] = None


class Output(BaseModel):
    """One output tensor."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, int] | None = None
    data: list[Any] | None = None


class InferenceResponse(BaseModel):
    """An inference response, with the verdicts as tensors."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Output]


class TensorFacts(BaseModel):
    """Name, datatype and shape of an input or output; -1 stands for any size."""

    name: str
    datatype: Literal["BYTES", "UINT8", "FP64"]
    shape: list[int]


class ModelMetadata(BaseModel):
    """Inputs and outputs of the model. A request sends one of the inputs."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class ServerMetadata(BaseModel):
    """Name, version and protocol extensions of the server."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """The process is alive."""

    live: Literal[True]


class Ready(BaseModel):
    """The server, or the model, can answer requests."""

    ready: Literal[True]
    name: str | None = None


def validation_message(errors: Any) -> str:
    """Return the first pydantic error in one line: location, message and an excerpt of the value."""
    first = errors[0]
    location = ".".join(map(str, first["loc"])) or "the request"
    if first["type"] == "json_invalid":
        return one_line(first["msg"])[:200]
    # The value may have megabytes; reprlib reads no more of it than is shown.
    return f"{location}: {first['msg']}, got {one_line(reprlib.repr(first.get('input')))[:60]}"
