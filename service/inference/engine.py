"""Engine: an ONNX model, checked against its own metadata, on the CPU or a CUDA device."""

import bisect
import hashlib
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from service.contract.faces.face import FaceMode
from service.contract.faces.framing import check_finder, check_mode
from service.contract.spec import ModelSpec, SpecError
from service.inference import model_file
from service.inference.engine_options import DEFAULT_OPTIONS, EngineOptions, ModelSource
from service.inference.graph import EVIDENCE, IMAGE, LOGITS, check_graph
from service.inference.model_file import ModelFileError
from service.inference.session import CUDA, Cuda, may_run_on_cuda, open_session
from service.resources import cpu_count, memory_limit

if TYPE_CHECKING:
    from service.model_settings import ModelSettings

_MAX_IMAGES_PER_RUN = 8
# Limit for building a session and running its largest batch; the largest model of this project takes 0.5 GiB.
_MAX_LOAD_BYTES = 4 * 1024**3
_WARM_UP_TIMEOUT_S = 30.0
# Rounding error of a float32 mean in another summation order, relative to the largest value.
_MAX_RELATIVE_DIFFERENCE = 1e-3


class InferenceError(Exception):
    """The run failed, or its output has the wrong shape or contains NaN or infinity."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model. Thread-safe: ONNX Runtime sessions may run from several threads at once.

    Attributes:
        spec: spec from the file's metadata.
        sha256: SHA-256 of the file, hexadecimal.
        provider: active execution provider, ``CPUExecutionProvider`` or ``CUDAExecutionProvider``.
        threads: number of threads inside one run.
        shapes: batch sizes that runs are padded to, ascending; empty: no padding.
        evidence_size: rows and columns of the evidence map, whose mean is the logits; None if the graph has no such
            output.
    """

    spec: ModelSpec
    sha256: str
    provider: str
    threads: int
    _session: ort.InferenceSession
    shapes: tuple[int, ...] = ()
    evidence_size: tuple[int, int] | None = None

    @property
    def on_cuda(self) -> bool:
        """Whether the model runs on a CUDA device."""
        return self.provider == CUDA

    @classmethod
    def load(
        cls, source: ModelSource | Path, options: EngineOptions = DEFAULT_OPTIONS, content: bytes | None = None
    ) -> "Engine":
        """Load a model file; see :meth:`from_bytes`.

        Args:
            source: path of the file and what to check it against.
            options: where and how the model runs.
            content: bytes of the file, if it has been read already.

        Raises:
            ModelFileError: the file cannot be read or is rejected.
            ProviderError: ``cuda`` was requested and is not active.
        """
        if isinstance(source, Path):
            source = ModelSource(source)
        if content is None:
            content = model_file.read(source.path)
        try:
            source.check(content)
            return cls.from_bytes(content, options)
        except ModelFileError as error:
            raise ModelFileError(f"model file '{source.path}' is refused: {error}") from None

    @classmethod
    def from_bytes(cls, content: bytes, options: EngineOptions = DEFAULT_OPTIONS) -> "Engine":
        """Build the session, check the graph against the metadata, and warm up with input of the spec's size.

        Args:
            content: a whole ONNX file. Hash and graph come from the same bytes, so a file that is replaced during
                loading cannot be served under another file's hash.
            options: where and how the model runs.

        Raises:
            ModelFileError: the content is not an ONNX model; its metadata is missing, malformed or contradictory; or
                the model fails.
            ProviderError: ``cuda`` was requested and is not active.
        """
        memory_context = nullcontext() if may_run_on_cuda(options.provider) else memory_limit(_MAX_LOAD_BYTES)
        try:
            with memory_context:
                model_file.check(content)
                return cls._build(content, options)
        # Raised when the process gets no more memory or cannot start a thread.
        except (MemoryError, RuntimeError, ImportError) as error:
            raise ModelFileError(
                f"the model cannot be loaded within {_MAX_LOAD_BYTES} bytes of memory: {error}"
            ) from None

    def check_faces(self, mode: FaceMode) -> None:
        """Check that the model supports a face mode.

        Args:
            mode: see :data:`service.contract.faces.face.FaceMode`.

        Raises:
            ModelFileError: the model does not support the mode.
        """
        try:
            check_mode(self.spec, mode)
        except SpecError as error:
            raise ModelFileError(
                f"setting --faces (SERVICE_FACES): the model does not support {mode}: {error}"
            ) from None

    @classmethod
    def _build(cls, content: bytes, options: EngineOptions) -> "Engine":
        threads = options.threads or cpu_count()
        session = open_session(content, options.provider, threads, options.cuda)
        try:
            spec = ModelSpec.from_metadata(session.get_modelmeta().custom_metadata_map)
            check_finder(spec)
            evidence_size = check_graph(session, spec)
        except SpecError as error:
            raise ModelFileError(str(error)) from None
        active = session.get_providers()[0]
        shapes = batch_shapes(options.max_batch) if active == CUDA else ()
        engine = cls(spec, hashlib.sha256(content).hexdigest(), active, threads, session, shapes, evidence_size)
        try:
            engine.prove(options.max_batch)
        except InferenceError as error:
            raise ModelFileError(f"the model fails its warm-up: {error}") from None
        return engine

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model.

        Args:
            images: uint8 ``[N, H, W, 3]`` RGB of the spec's size, N >= 1.

        Returns:
            float32 ``[N, 2]``, finite.

        Raises:
            InferenceError: the run failed, or its output is not finite ``[N, 2]``.
        """
        (logits,) = self._run(images, [LOGITS])
        return logits

    def evidence(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model and return the evidence map, whose mean is the logits; requires :attr:`evidence_size`.

        Args:
            images: as for :meth:`logits`.

        Returns:
            float32 ``[N, h, w, 2]``, finite: the logits of both classes at each position.

        Raises:
            InferenceError: as for :meth:`logits`, or the logits are not the mean of the map.
        """
        logits, evidence = self._run(images, [LOGITS, EVIDENCE])
        difference = float(np.abs(evidence.mean(axis=(1, 2)) - logits).max())
        if difference > _MAX_RELATIVE_DIFFERENCE * (1 + float(np.abs(evidence).max())):
            raise InferenceError(f"the logits are not the mean of the evidence: they differ by {difference:.3g}")
        return evidence

    def _run(
        self, images: NDArray[np.uint8], names: Sequence[str], options: ort.RunOptions | None = None
    ) -> list[NDArray[np.float32]]:
        padded, classes = self._padded(images), len(self.spec.class_names)
        try:
            outputs = self._session.run(list(names), {IMAGE: padded}, run_options=options)
        except Exception as error:  # onnxruntime raises a different class for each status code
            raise InferenceError(f"inference failed: {error}") from error
        for name, output in zip(names, outputs, strict=True):
            expected = (len(padded), *((self.evidence_size or ()) if name == EVIDENCE else ()), classes)
            if output.shape != expected:
                raise InferenceError(f"output '{name}' has shape {output.shape}, expected {expected}")
            if not np.isfinite(output[: len(images)]).all():
                raise InferenceError("output holds NaN or infinity")
        return [output[: len(images)] for output in outputs]

    def logits_in_parts(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model on at most 8 images at a time, to limit the memory for a picture with many faces.

        Args:
            images: as for :meth:`logits`.

        Raises:
            InferenceError: as for :meth:`logits`.
        """
        starts = range(0, len(images), _MAX_IMAGES_PER_RUN)
        return np.concatenate([self.logits(images[start : start + _MAX_IMAGES_PER_RUN]) for start in starts])

    def warm_up(self) -> None:
        """Run every batch shape once on zeros of the spec's size, so that no request has to wait for it.

        Raises:
            InferenceError: as for :meth:`logits`.
        """
        for count in self.shapes or (1,):
            self.logits(self._blank(count))

    def prove(self, max_batch: int) -> None:
        """Warm up, then run black, white and noise, alone and in the largest batch, to expose a failing model.

        If the model has an evidence output, check it against the logits.

        Raises:
            InferenceError: as for :meth:`logits`, or the runs take over 30 seconds, checked after each operator.
        """
        options = ort.RunOptions()
        timer = threading.Timer(_WARM_UP_TIMEOUT_S, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            for count in self.shapes or (1,):
                self._run(self._blank(count), [LOGITS], options)
            generator = np.random.default_rng(0)
            for count in sorted({1, max_batch}):
                noise = generator.integers(0, 256, (count, *self._blank(1).shape[1:]), np.uint8)
                noise[0] = 255
                self._run(noise, [LOGITS], options)
            if self.evidence_size:
                self.evidence(noise[:1])
        finally:
            timer.cancel()

    def _blank(self, count: int) -> NDArray[np.uint8]:
        return np.zeros((count, self.spec.input_height, self.spec.input_width, 3), np.uint8)

    def _padded(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pad the images with black ones to the next warmed-up batch size; larger batches stay unchanged."""
        position = bisect.bisect_left(self.shapes, len(images))
        if position == len(self.shapes) or self.shapes[position] == len(images):
            return images
        padding = np.zeros((self.shapes[position] - len(images), *images.shape[1:]), np.uint8)
        return np.concatenate((images, padding))


def batch_shapes(max_batch: int) -> tuple[int, ...]:
    """Return the powers of two below ``max_batch``, and ``max_batch``, ascending."""
    return tuple(
        sorted({1 << power for power in range(max_batch.bit_length()) if 1 << power < max_batch} | {max_batch})
    )


def load_engine(settings: "ModelSettings", content: bytes | None = None) -> Engine:
    """Load the engine that the settings describe.

    Args:
        settings: model file, where it runs, and how faces are treated.
        content: bytes of the model file, if it has been read already.

    Raises:
        ModelFileError, ProviderError: as for :meth:`Engine.load`; or the model does not support ``settings.faces``.
    """
    options = EngineOptions(
        settings.provider,
        settings.inference_threads,
        Cuda(settings.cuda_device, settings.cuda_memory_mib),
        settings.max_batch,
    )
    source = ModelSource(settings.model, settings.model_sha256, settings.model_public_key)
    engine = Engine.load(source, options, content)
    engine.check_faces(settings.faces)
    return engine
