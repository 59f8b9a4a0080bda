"""Messages: the JSON of the Open Inference Protocol v2, as it is read and written here."""

import reprlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.contract.text import one_line

Size = Annotated[int, Field(ge=0, le=1 << 40, strict=True)]
# Strings, numbers or booleans by name, says the protocol; those that nobody here knows are passed over.
Parameters = Annotated[dict[str, Any], Field(default_factory=dict)]


class Input(BaseModel):
    """One tensor of a request: `image`, files as BYTES `[N]`, or `pixels`, UINT8 `[N, H, W, 3]` RGB.

    Its elements are in `data`, row-major and flat or nested; or behind the JSON, `binary_data_size` bytes of them.
    """

    name: Annotated[str, Field(max_length=100)]
    shape: Annotated[list[Size], Field(max_length=8)]
    datatype: Annotated[str, Field(max_length=20)]
    parameters: Parameters
    data: Annotated[list[Any] | None, Field(description="BYTES: base64. UINT8: numbers.")] = None


class WantedOutput(BaseModel):
    """One output that is asked for; `binary_data` puts it behind the JSON."""

    name: Annotated[str, Field(max_length=100)]
    parameters: Parameters


class InferenceRequest(BaseModel):
    """Several pictures in one tensor."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["/9j/4AAQ…"]}]}
        }
    )

    id: Annotated[str | None, Field(max_length=200)] = None
    parameters: Parameters
    inputs: Annotated[list[Input], Field(min_length=1, max_length=1)]
    outputs: Annotated[
        list[WantedOutput] | None, Field(max_length=16, description="Default: every output of the model.")
    ] = None


class Output(BaseModel):
    """One tensor of an answer."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, int] | None = None
    data: list[Any] | None = None


class InferenceResponse(BaseModel):
    """The verdicts on them."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Output]


class TensorFacts(BaseModel):
    """A tensor that the model takes or gives; -1: any."""

    name: str
    datatype: Literal["BYTES", "UINT8", "FP64"]
    shape: list[int]


class ModelMetadata(BaseModel):
    """What the model takes (one of its inputs) and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class ServerMetadata(BaseModel):
    """Which server this is, and what it knows beyond the protocol."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """The process lives."""

    live: Literal[True]


class Ready(BaseModel):
    """Server, or model, can answer."""

    ready: Literal[True]
    name: str | None = None


def in_words(errors: Any) -> str:
    """Return what pydantic found wrong, in one line: where, what, and a bit of what was there."""
    first = errors[0]
    place = ".".join(map(str, first["loc"])) or "the request"
    if first["type"] == "json_invalid":
        return one_line(first["msg"])[:200]
    # Of what may be megabytes no more is looked at than is shown.
    return f"{place}: {first['msg']}, not {one_line(reprlib.repr(first.get('input')))[:60]}"
