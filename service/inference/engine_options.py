"""Which model file to load, and where and how it runs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from service.inference import model_file
from service.inference.session import Cuda, Provider
from service.inference.signature import check_signature


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model file, and what it is checked against before it is loaded.

    Attributes:
        path: of the file.
        sha256: that the file must have, hexadecimal; None: any.
        public_key: whose signature must lie beside the file (:mod:`service.inference.signature`); None: none.
    """

    path: Path
    sha256: str | None = None
    public_key: Path | None = None

    def check(self, content: bytes) -> None:
        """Check the bytes of the file against digest and signature.

        Raises:
            ModelFileError: one of them does not match.
        """
        if self.sha256:
            model_file.check_digest(content, self.sha256)
        if self.public_key:
            check_signature(content, self.path, self.public_key)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Where and how a model runs.

    Attributes:
        provider: ``auto`` takes CUDA where it truly loads, else the CPU.
        threads: threads inside one run; None: the CPUs that this process may use.
        cuda: which device, where CUDA is used; default: the first, without a memory limit.
        max_batch: images in one run. On CUDA, where each new batch size costs a search for kernels, runs are padded
            to powers of two up to it, and each size is warmed up.
    """

    provider: Provider = "auto"
    threads: int | None = None
    cuda: Cuda = field(default_factory=Cuda)
    max_batch: int = 1


DEFAULT_OPTIONS: Final = EngineOptions()
