"""Engine: one ONNX model, checked against its own metadata, on the CPU or a CUDA device."""

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

_MOST_AT_ONCE = 8
# What building a session and running its largest batch may take; the largest model of this project takes .5 GiB.
_MAX_LOAD_BYTES = 4 * 1024**3
_WARM_UP_S = 30.0
# Of a mean of float32 in another order, as a share of the largest number in it.
_MAX_DIFFERENCE = 1e-3


class InferenceError(Exception):
    """The model ran and failed, or gave an answer of the wrong shape, NaN or infinity."""


def parts(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Return ``images`` cut into runs of at most 8."""
    return [images[start : start + _MOST_AT_ONCE] for start in range(0, len(images), _MOST_AT_ONCE)]


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model. Thread-safe: ONNX Runtime sessions may run from several threads at once.

    Attributes:
        spec: what the file says of itself.
        sha256: of the file's bytes, hexadecimal.
        provider: execution provider that is active, ``CPUExecutionProvider`` or
            ``CUDAExecutionProvider``.
        threads: threads inside one run.
        shapes: batch sizes that runs are padded to, ascending; empty: they are not padded.
        evidence_size: rows and columns of the map that the logits are the mean of; None where the graph does not
            give it.
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
        """Whether it runs on a CUDA device."""
        return self.provider == CUDA

    @classmethod
    def load(
        cls, source: "ModelSource | Path", options: EngineOptions = DEFAULT_OPTIONS, content: bytes | None = None
    ) -> "Engine":
        """Read a model file; see :meth:`from_bytes`.

        Args:
            source: which file, and what it is checked against.
            options: where and how it runs.
            content: the bytes of the file, where it has been read already.

        Raises:
            ModelFileError: the file cannot be read, or is refused.
            ProviderError: ``cuda`` was asked for and is not active.
        """
        if isinstance(source, Path):
            source = ModelSource(source)
        if content is None:
            content = model_file.read(source.path)
        try:
            source.check(content)
            engine = cls.from_bytes(content, options)
        except ModelFileError as error:
            raise ModelFileError(f"model file '{source.path}' is refused: {error}") from None
        engine.check_faces(options.faces)
        return engine

    @classmethod
    def from_bytes(cls, content: bytes, options: EngineOptions = DEFAULT_OPTIONS) -> "Engine":
        """Build the session, check the graph against the metadata, and warm up with input of the spec's own size.

        Args:
            content: a whole ONNX file. Hash and graph come from the same bytes, so a file that is replaced meanwhile
                cannot answer under another's name.
            options: where and how it runs.

        Raises:
            ModelFileError: not an ONNX model; metadata missing, malformed or contradicting; or the model fails.
            ProviderError: ``cuda`` was asked for and is not active.
        """
        bounded = nullcontext() if may_run_on_cuda(options.provider) else memory_limit(_MAX_LOAD_BYTES)
        try:
            with bounded:
                model_file.check(content)
                return cls._proven(content, options)
        # What a process raises that gets no more memory, or can start no thread.
        except (MemoryError, RuntimeError, ImportError) as error:
            raise ModelFileError(f"it cannot be loaded within {_MAX_LOAD_BYTES} bytes of memory: {error}") from None

    def check_faces(self, mode: FaceMode | None) -> None:
        """Refuse a way to treat faces that the model cannot be served by.

        Args:
            mode: see :data:`service.contract.faces.face.FaceMode`; None: any.

        Raises:
            ModelFileError: the model does not support it.
        """
        if mode is None:
            return
        try:
            check_mode(self.spec, mode)
        except SpecError as error:
            raise ModelFileError(
                f"setting --faces (SERVICE_FACES): {mode} does not go with the model: {error}"
            ) from None

    @classmethod
    def _proven(cls, content: bytes, options: EngineOptions) -> "Engine":
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
            raise ModelFileError(f"it fails its warm-up: {error}") from None
        return engine

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model.

        Args:
            images: uint8 ``[N, H, W, 3]`` RGB of the spec's size, N at least 1.

        Returns:
            float32 ``[N, 2]``, finite.

        Raises:
            InferenceError: the run failed, or its output is not finite ``[N, 2]``.
        """
        (logits,) = self._run(images, [LOGITS])
        return logits

    def evidence(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model for the map that the logits are the mean of; only where :attr:`evidence_size` is known.

        Args:
            images: as for :meth:`logits`.

        Returns:
            float32 ``[N, h, w, 2]``, finite, at each place what it says for either class.

        Raises:
            InferenceError: as :meth:`logits`, or the logits are not its mean.
        """
        logits, evidence = self._run(images, [LOGITS, EVIDENCE])
        difference = float(np.abs(evidence.mean(axis=(1, 2)) - logits).max())
        if difference > _MAX_DIFFERENCE * (1 + float(np.abs(evidence).max())):
            raise InferenceError(f"the logits are not the mean of the evidence, but differ by {difference:.3g}")
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
                raise InferenceError(f"output of shape {output.shape} for {len(padded)} images")
            if not np.isfinite(output[: len(images)]).all():
                raise InferenceError("output holds NaN or infinity")
        return [output[: len(images)] for output in outputs]

    def logits_in_parts(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model on few images at a time, so that a picture of many faces takes no more memory than one of 8.

        Args:
            images: as for :meth:`logits`.

        Raises:
            InferenceError: as :meth:`logits`.
        """
        return np.concatenate([self.logits(part) for part in parts(images)])

    def warm_up(self) -> None:
        """Run every batch shape once on zeros of the spec's own size, so that no request pays for it.

        Raises:
            InferenceError: as :meth:`logits`.
        """
        for count in self.shapes or (1,):
            self.logits(self._blank(count))

    def prove(self, max_batch: int) -> None:
        """Warm up, then run black, white and noise, alone and in the largest batch: what a model may fail at.

        Of a model that gives it, the evidence is held against the logits.

        Raises:
            InferenceError: as :meth:`logits`, or it takes over 30 seconds, as seen after each operator.
        """
        options = ort.RunOptions()
        timer = threading.Timer(_WARM_UP_S, setattr, (options, "terminate", True))
        timer.daemon = True
        timer.start()
        try:
            for count in self.shapes or (1,):
                self._run(self._blank(count), [LOGITS], options)
            draw = np.random.default_rng(0)
            for count in sorted({1, max_batch}):
                noise = draw.integers(0, 256, (count, *self._blank(1).shape[1:]), np.uint8)
                noise[0] = 255
                self._run(noise, [LOGITS], options)
            if self.evidence_size:
                self.evidence(noise[:1])
        finally:
            timer.cancel()

    def _blank(self, count: int) -> NDArray[np.uint8]:
        return np.zeros((count, self.spec.input_height, self.spec.input_width, 3), np.uint8)

    def _padded(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the images with black ones behind them, up to the next warmed shape; larger batches as they are."""
        place = bisect.bisect_left(self.shapes, len(images))
        if place == len(self.shapes) or self.shapes[place] == len(images):
            return images
        black = np.zeros((self.shapes[place] - len(images), *images.shape[1:]), np.uint8)
        return np.concatenate((images, black))


def batch_shapes(max_batch: int) -> tuple[int, ...]:
    """Return the powers of two below ``max_batch``, and ``max_batch``, ascending."""
    return tuple(
        sorted({1 << power for power in range(max_batch.bit_length()) if 1 << power < max_batch} | {max_batch})
    )


def load_engine(settings: "ModelSettings", content: bytes | None = None) -> Engine:
    """Return the engine that the settings ask for.

    Args:
        settings: which model, and where it runs.
        content: the bytes of the model file, where it has been read already.

    Raises:
        ModelFileError, ProviderError: as :meth:`Engine.load`.
    """
    options = EngineOptions(
        settings.provider,
        settings.inference_threads,
        Cuda(settings.cuda_device, settings.cuda_memory_mib),
        settings.max_batch,
        settings.faces,
    )
    return Engine.load(ModelSource(settings.model, settings.model_sha256, settings.model_public_key), options, content)
