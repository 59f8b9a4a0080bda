"""Sessions: which provider runs, and what is refused."""

import onnxruntime
import pytest

from service.inference import session as session_module
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.inference.model_file import ModelFileError
from service.inference.session import Cuda, ProviderError, open_session


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="onnxruntime-gpu is installed"
)
def test_cuda_is_refused_where_the_build_has_none(make_model):
    with pytest.raises(ProviderError, match="needs onnxruntime-gpu"):
        Engine.from_bytes(make_model(), EngineOptions("cuda"))


@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA build or device here"
)
def test_cuda_is_really_active_where_it_is_asked_for(make_model):
    assert Engine.from_bytes(make_model(), EngineOptions("cuda")).provider == "CUDAExecutionProvider"


class Session:
    """A session that claims an execution provider."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def get_providers(self) -> list[str]:
        return [self._provider]


@pytest.fixture
def cuda_build(monkeypatch):
    """Pretend a CUDA build whose sessions turn out as told: by provider, or by exception."""

    def pretend(outcome: str | None) -> list[list[str]]:
        asked = []

        def create(content, providers, threads):
            asked.append([name if isinstance(name, str) else name[0] for name in providers])
            if len(providers) > 1 and outcome is None:
                raise ModelFileError("no device")
            return Session(outcome if len(providers) > 1 else "CPUExecutionProvider")

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
        monkeypatch.setattr(session_module, "_create", create)
        return asked

    return pretend


def test_auto_takes_the_cpu_where_cuda_does_not_start(cuda_build):
    asked = cuda_build(None)
    assert open_session(b"", "auto", 1, Cuda()).get_providers() == ["CPUExecutionProvider"]
    assert asked == [["CUDAExecutionProvider", "CPUExecutionProvider"], ["CPUExecutionProvider"]]


def test_cuda_is_refused_where_it_does_not_start(cuda_build):
    cuda_build(None)
    with pytest.raises(ProviderError, match="does not start: no device"):
        open_session(b"", "cuda", 1, Cuda())


def test_cuda_is_refused_where_a_session_silently_fell_back(cuda_build):
    cuda_build("CPUExecutionProvider")
    with pytest.raises(ProviderError, match="did not become active"):
        open_session(b"", "cuda", 1, Cuda())
    assert open_session(b"", "auto", 1, Cuda()).get_providers() == ["CPUExecutionProvider"]


def test_cuda_options_name_device_and_limit():
    assert Cuda(3, 512).options() == Cuda(3).options() | {"gpu_mem_limit": str(512 * 1024 * 1024)}
    assert Cuda(3).options()["device_id"] == "3"
