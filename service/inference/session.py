"""Open ONNX Runtime sessions on the CPU or a CUDA device, without silent fallback."""

from dataclasses import dataclass
from typing import Any, Final, Literal

import onnxruntime as ort

from service.inference.model_file import ModelFileError

_CONFIGURATION: Final = {
    "session.intra_op.allow_spinning": "0",
    # Second line of defence: external weights and other formats are already rejected.
    "session.model_external_initializers_file_folder_path": "/dev/null",
    "session.load_model_format": "ONNX",
}
Provider = Literal["auto", "cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class ProviderError(Exception):
    """The requested execution provider is not active."""


@dataclass(frozen=True, slots=True)
class Cuda:
    """CUDA device and memory limit.

    Attributes:
        device: device number.
        memory_mib: maximum memory of ONNX Runtime's arena on the device, MiB; None: no limit.
    """

    device: int = 0
    memory_mib: int | None = None

    def options(self) -> dict[str, str]:
        """Return ONNX Runtime's provider options."""
        # By default the arena doubles each time it grows, and cuDNN tries every algorithm for each new batch shape.
        options = {
            "device_id": str(self.device),
            "arena_extend_strategy": "kSameAsRequested",
            "cudnn_conv_algo_search": "HEURISTIC",
        }
        if self.memory_mib is not None:
            options["gpu_mem_limit"] = str(self.memory_mib * 1024 * 1024)
        return options


def may_run_on_cuda(provider: Provider) -> bool:
    """Return whether this build supports CUDA; only opening a session shows whether a device is available."""
    return provider != "cpu" and CUDA in ort.get_available_providers()


def open_session(content: bytes, provider: Provider, threads: int, cuda: Cuda) -> ort.InferenceSession:
    """Return a session on the requested provider; ``auto`` uses CUDA if it loads, otherwise the CPU.

    Raises:
        ModelFileError: the content is not an ONNX model.
        ProviderError: ``cuda`` was requested and is not active.
    """
    available = ort.get_available_providers()
    if provider == "cuda" and CUDA not in available:
        raise ProviderError(f"provider 'cuda' needs onnxruntime-gpu; this build has {', '.join(available)}")
    if provider == "cpu" or CUDA not in available:
        return _create(content, [CPU], threads)
    try:
        session = _create(content, [(CUDA, cuda.options()), CPU], threads)
    except ModelFileError as error:
        if provider == "auto":
            return _create(content, [CPU], threads)
        raise ProviderError(f"provider 'cuda' does not start: {error}") from None
    # A CUDA session falls back to the CPU without an error if its libraries do not load.
    if provider == "cuda" and session.get_providers()[0] != CUDA:
        raise ProviderError("provider 'cuda' did not become active: its libraries or a device are missing")
    return session


def _create(content: bytes, providers: list[Any], threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A memory pattern keeps a separate plan and memory for each batch size (140 MiB after mixed batches, 107 MiB
    # without) and makes no run faster.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # errors are raised; other messages would break the JSON log
    for key, value in _CONFIGURATION.items():
        options.add_session_config_entry(key, value)
    try:
        # With fallback, a failed start prints to standard output and is retried; with configuration from the model,
        # its metadata could set options.
        session = ort.InferenceSession(
            content, options, providers=providers, enable_fallback=0, read_config_from_model=0
        )
    except Exception as error:  # onnxruntime raises a different class for each status code
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelFileError(f"not a loadable ONNX model ({len(content)} bytes): {reason}") from None
    # Otherwise a failing run would silently move the session to the CPU.
    session.disable_fallback()
    return session
