"""Pictures, data folders and models that the tests stand on."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import skimage
from hypothesis import settings
from PIL import Image

from service.contract.spec import ModelSpec

# Test modules that take the fixtures ``fitted``, ``stopped`` and ``finished``.
SHARING_RUNS = (
    "card",
    "evaluate_command",
    "export_command",
    "files",
    "finish",
    "fit_options",
    "normalization",
    "predict_command",
    "run",
    "run_start",
    "tensors",
)
REPOSITORY = Path(__file__).resolve().parent.parent
PUBLIC_DOMAIN = Path(skimage.__file__).parent / "data"
# How long an example takes depends on the machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
FACES = Path(os.environ.get("FACES_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep tests in one process that share runs or exports, which take long to make."""
    from xdist.scheduler import LoadFileScheduling

    class SharedRuns(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            folder, _, name = path.rpartition("/")
            if folder in ("tests/trainer/export", "tests/trainer/release"):
                return folder
            return "runs" if name.removeprefix("test_").removesuffix(".py") in SHARING_RUNS else path

    return SharedRuns(config, log)


@pytest.fixture(scope="session")
def faces_data() -> Path:
    """The folder of real face images; tests that need it skip without it."""
    if not FACES.is_dir():
        pytest.skip(f"needs the face images: '{FACES}' is missing, FACES_DATA names another place")
    return FACES


@pytest.fixture(scope="session")
def astronaut() -> Image.Image:
    """A public-domain portrait (NASA), 512 x 512 RGB."""
    return Image.open(PUBLIC_DOMAIN / "astronaut.png").convert("RGB")


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Return a picture's bytes in a format."""

    def encoded(image: Image.Image, file_format: str = "JPEG", **options: object) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        return buffer.getvalue()

    return encoded


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., ModelSpec]:
    """Return a valid spec with any fields replaced."""

    def spec(**changes: object) -> ModelSpec:
        fields: dict[str, object] = {
            "name": "tiny",
            "version": "1",
            "class_names": ("real", "fake"),
            "fake_class": "fake",
            "output_kind": "softmax",
            "input_height": 48,
            "input_width": 48,
            "resize_filter": "bicubic",
            "resize_fit": "crop",
            "exif_policy": "apply",
            "temperature": 1.5,
            "threshold_real": 0.2,
            "threshold_fake": 0.8,
            "threshold_rule": "made for tests",
            "dataset_fingerprint": "0" * 64,
            "dataset_counts": {"tiny/real": 1, "tiny/fake": 1},
            "recipe": {"name": "tiny"},
            "metrics": {},
            "library_versions": {"numpy": np.__version__},
            "commit": "unknown",
        }
        return ModelSpec(**(fields | changes))  # type: ignore[arg-type]

    return spec


@pytest.fixture(scope="session")
def make_model(make_spec) -> Callable[..., bytes]:
    """Return the bytes of a tiny model file: mean colour times a matrix; grey over 127 is fake."""

    def model(
        spec: ModelSpec | None = None,
        *,
        weights: np.ndarray | None = None,
        side: int = 48,
        output: str = "logits",
        batch: int | str = "batch",
        metadata: dict[str, str] | None = None,
        evidence: bool = False,
    ) -> bytes:
        spec = spec or make_spec()
        kernel = np.array([[-0.02, 0.02]] * 3) if weights is None else weights
        nodes = [
            onnx.helper.make_node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            onnx.helper.make_node("Sub", ["mean", "middle"], ["centred"]),
            onnx.helper.make_node("MatMul", ["centred", "kernel"], [output]),
        ]
        if evidence:  # the same, of each 8 x 8 pixels before their mean is taken
            nodes = [
                nodes[0],
                onnx.helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
                onnx.helper.make_node("AveragePool", ["planes"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
                onnx.helper.make_node("Transpose", ["pooled"], ["cells"], perm=[0, 2, 3, 1]),
                onnx.helper.make_node("Sub", ["cells", "middle"], ["centred"]),
                onnx.helper.make_node("MatMul", ["centred", "kernel"], ["evidence"]),
                onnx.helper.make_node("ReduceMean", ["evidence", "axes"], [output], keepdims=0),
            ]
        values = {
            "axes": np.array([1, 2], np.int64),
            "middle": np.array(127, np.float32),
            "kernel": kernel.astype(np.float32),
        }
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            nodes,
            "tiny",
            [value("image", onnx.TensorProto.UINT8, [batch, side, side, 3])],
            [
                value(output, onnx.TensorProto.FLOAT, [batch, 2]),
                *([value("evidence", onnx.TensorProto.FLOAT, [batch, side // 8, side // 8, 2])] if evidence else []),
            ],
            [onnx.numpy_helper.from_array(array, name) for name, array in values.items()],
        )
        proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
        onnx.helper.set_model_props(proto, spec.to_metadata() if metadata is None else metadata)
        return proto.SerializeToString()

    return model
