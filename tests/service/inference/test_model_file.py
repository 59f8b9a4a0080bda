"""Hostile model files: a file from a stranger is data, and is refused in one line where it would be more."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from onnx import TensorProto, helper, numpy_helper

from service.app import create_app
from service.contract.spec import ModelSpec, SpecError
from service.inference import engine as engine_module
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions, ModelSource
from service.inference.model_file import MAX_BYTES, ModelFileError
from service.settings import Settings
from tests.conftest import REPOSITORY
from tests.serving import PATIENCE


@pytest.fixture
def changed(make_model) -> Callable[..., bytes]:
    """Return the tiny model's bytes after a change to its graph."""

    def model(change: Callable[[onnx.ModelProto], object]) -> bytes:
        proto = onnx.load_from_string(make_model())
        change(proto)
        return proto.SerializeToString()

    return model


def refusal(content: bytes) -> str:
    with pytest.raises(ModelFileError) as refused:
        Engine.from_bytes(content, EngineOptions("cpu", 1))
    message = str(refused.value)
    assert message.isprintable()
    assert len(message) <= 310
    return message


def in_front(proto: onnx.ModelProto, *nodes: onnx.NodeProto, weights: dict[str, np.ndarray] | None = None) -> None:
    """Put nodes between the mean and what follows: they take ``mean`` and give ``made``, of the same shape."""
    graph = proto.graph
    for node in graph.node:
        if "mean" in node.input:
            node.input[:] = ["made" if name == "mean" else name for name in node.input]
    position = next(index for index, node in enumerate(graph.node) if "made" in node.input)
    rest = list(graph.node)[position:]
    del graph.node[position:]
    graph.node.extend([*nodes, *rest])
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in (weights or {}).items())


def elsewhere(proto: onnx.ModelProto, location: str, **entries: str) -> None:
    weight = next(weight for weight in proto.graph.initializer if weight.name == "kernel")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        weight.external_data.add(key=key, value=value)


@pytest.mark.parametrize(
    "location", ["secret.bin", "../secret.bin", "/etc/passwd", "/dev/zero", "*/_ORT_MEM_ADDR_/*", "a/../secret.bin"]
)
def test_weights_in_another_file_are_refused(changed, tmp_path, monkeypatch, location):
    """Found in review: a file loaded from bytes read its weights from the working directory."""
    (tmp_path / "secret.bin").write_bytes(np.full((3, 2), 1234.5, np.float32).tobytes())
    monkeypatch.chdir(tmp_path)
    message = refusal(changed(lambda proto: elsewhere(proto, location, offset="0", length="24")))
    assert "weight 'kernel' is stored in another file" in message


def constant(array: np.ndarray, location: str = "") -> onnx.NodeProto:
    tensor = numpy_helper.from_array(array)
    if location:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
    return helper.make_node("Constant", [], ["constant"], value=tensor)


def subgraph(operator: str, **attributes: onnx.GraphProto) -> onnx.NodeProto:
    return helper.make_node(operator, ["mean"], ["made"], **attributes)


BRANCH = helper.make_graph([helper.make_node("Identity", ["mean"], ["out"])], "branch", [], [])
NODES = {
    "a constant in another file": [constant(np.ones(3, np.float32), "secret.bin")],
    "a branch": [subgraph("If", then_branch=BRANCH, else_branch=BRANCH)],
    "a loop": [subgraph("Loop", body=BRANCH)],
    "a scan": [subgraph("Scan", body=BRANCH)],
    "an operator that does not exist": [helper.make_node("Nope", ["mean"], ["made"])],
    "an operator of a stranger": [helper.make_node("Do", ["mean"], ["made"], domain="evil")],
    "code in Python": [helper.make_node("PythonOp", ["mean"], ["made"], domain="com.microsoft")],
    "a compiled context": [
        helper.make_node("EPContext", ["mean"], ["made"], domain="com.microsoft", ep_cache_context="../secret.bin")
    ],
    "noise": [helper.make_node("RandomNormalLike", ["mean"], ["made"])],
    "a huge constant": [helper.make_node("ConstantOfShape", ["mean"], ["made"])],
    "a huge range": [helper.make_node("Range", ["mean"], ["made"])],
    "strings": [helper.make_node("StringNormalizer", ["mean"], ["made"])],
    "a name of two lines": [helper.make_node('Nope\n{"level": "info"}\x1b[31m', ["mean"], ["made"])],
}


@pytest.mark.parametrize("kind", NODES)
def test_operators_that_are_more_than_a_network_are_refused(changed, kind):
    assert "is not supported" in refusal(changed(lambda proto: in_front(proto, *NODES[kind])))


def test_a_graph_hidden_in_an_attribute_is_refused(changed):
    def hide(proto: onnx.ModelProto) -> None:
        proto.graph.node[0].attribute[0].g.CopyFrom(BRANCH)

    assert "holds more than numbers" in refusal(changed(hide))


@pytest.mark.parametrize(
    "change",
    [
        lambda proto: proto.functions.append(helper.make_function("", "Sub", ["a", "b"], ["c"], [], [])),
        lambda proto: proto.training_info.add(),
        lambda proto: proto.graph.sparse_initializer.add(),
        lambda proto: proto.graph.initializer.append(proto.graph.initializer[0]),
        lambda proto: proto.graph.node.extend([proto.graph.node[0]] * 2000),
        lambda proto: proto.metadata_props.add(key="name", value='"another"'),
        lambda proto: proto.metadata_props.add(key="more", value="a" * 2_000_000),
    ],
    ids=[
        "functions",
        "training",
        "sparse weights",
        "a weight twice",
        "2000 operators",
        "a key twice",
        "2 MB of metadata",
    ],
)
def test_what_no_exported_model_has_is_refused(changed, change):
    refusal(changed(change))


def test_a_shape_that_depends_on_pixels_is_refused(changed):
    """Else its memory would show with the first picture, not at the start."""
    nodes = [
        helper.make_node("Cast", ["mean"], ["sizes"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["mean", "sizes"], ["made"]),
    ]
    assert "has a size that depends on pixels" in refusal(changed(lambda proto: in_front(proto, *nodes)))


def widened(proto: onnx.ModelProto, side: int) -> None:
    """Make ``side`` x ``side`` values out of a vector, by operators that every network may use, and average them."""
    nodes = [
        helper.make_node("MatMul", ["mean", "row"], ["wide"]),
        helper.make_node("Reshape", ["wide", "across"], ["line"]),
        helper.make_node("Reshape", ["wide", "down"], ["column"]),
        helper.make_node("Mul", ["line", "column"], ["square"]),
        helper.make_node("ReduceMean", ["square", "last"], ["narrow"], keepdims=0),
        helper.make_node("Slice", ["narrow", "zero", "three", "one"], ["made"]),
    ]
    weights = {
        "row": np.ones((3, side), np.float32),
        "across": np.array([-1, 1, side], np.int64),
        "down": np.array([-1, side, 1], np.int64),
        "last": np.array([2], np.int64),
        "zero": np.array([0], np.int64),
        "three": np.array([3], np.int64),
        "one": np.array([1], np.int64),
    }
    in_front(proto, *nodes, weights=weights)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where memory can be limited")
def test_a_model_that_takes_gigabytes_is_refused_at_its_start(changed):
    Engine.from_bytes(changed(lambda proto: widened(proto, 300)), EngineOptions("cpu", 1))
    assert "fails its warm-up" in refusal(changed(lambda proto: widened(proto, 60_000)))


def test_work_on_weights_alone_is_refused(changed):
    """Found in review: it is done while the session is built, where no clock stops it."""

    def fold(proto: onnx.ModelProto) -> None:
        nodes = [helper.make_node("MatMul", ["square", "square"], ["s0"])]
        nodes += [helper.make_node("MatMul", [f"s{n}", "square"], [f"s{n + 1}"]) for n in range(50)]
        nodes += [helper.make_node("MatMul", ["mean", "s50"], ["made"])]
        in_front(proto, *nodes, weights={"square": np.eye(3, dtype=np.float32)})

    assert "has only weights as input, no pixels" in refusal(changed(fold))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, where memory can be limited")
def test_file_of_millions_of_operators_is_refused_in_memory(monkeypatch):
    """Found in review: a byte or two of file became a hundred of memory, before anything was bounded."""
    monkeypatch.setattr(engine_module, "_MAX_LOAD_BYTES", 200 * 1024 * 1024)
    nodes = b"\x0a\x00" * 8_000_000
    length = len(nodes)
    varint = bytearray()
    while length:
        varint.append(length & 127 | (128 if length > 127 else 0))
        length >>= 7
    refusal(b"\x3a" + bytes(varint) + nodes)


def test_a_model_that_takes_for_ever_is_refused_at_its_start(changed, monkeypatch):
    monkeypatch.setattr(engine_module, "_WARM_UP_TIMEOUT_S", 0.2)

    def slow(proto: onnx.ModelProto) -> None:
        widened(proto, 3000)
        square = next(node for node in proto.graph.node if node.output[0] == "square")
        square.output[0] = "s0"
        position = list(proto.graph.node).index(square) + 1
        rest = list(proto.graph.node)[position:]
        del proto.graph.node[position:]
        proto.graph.node.extend(helper.make_node("MatMul", [f"s{n}", "s0"], [f"s{n + 1}"]) for n in range(40))
        proto.graph.node.extend([helper.make_node("Tanh", ["s40"], ["square"]), *rest])

    assert "fails its warm-up" in refusal(changed(slow))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(make_model, value):
    kernel = np.array([[-0.02, 0.02]] * 3)
    kernel[1, 1] = value
    assert "fails its warm-up: output holds NaN or infinity" in refusal(make_model(weights=kernel))


def test_a_model_that_fails_on_bright_pictures_alone_is_refused(changed):
    """The square root of what is negative from a mean of 200 on."""
    nodes = [helper.make_node("Sub", ["bright", "mean"], ["rest"]), helper.make_node("Sqrt", ["rest"], ["made"])]
    weights = {"bright": np.array(200, np.float32)}
    assert "holds NaN" in refusal(changed(lambda proto: in_front(proto, *nodes, weights=weights)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("threshold_rule", '"\\ud800"'),
        ("recipe", '{"a": ' * 40 + "1" + "}" * 40),
        ("recipe", "[" * 100_000),
        ("metrics", '{"a": NaN}'),
        ("temperature", "1e400"),
        ("temperature", "0"),
        ("threshold_real", "0.9"),
        ("threshold_fake", "NaN"),
        ("input_height", "1000000000"),
        ("input_height", "9" * 5000),
        ("name", '"a\\nb"'),
        ("name", '"' + "a" * 100_000 + '"'),
        ("class_names", '["<script>", "fake"]'),
    ],
)
def test_metadata_that_were_tampered_with_name_their_key(make_model, make_spec, key, value):
    message = refusal(make_model(metadata=make_spec().to_metadata() | {key: value}))
    # The order of thresholds is told at the other one.
    assert f"'{key}'" in message or "threshold_fake" in message


def test_metadata_that_are_not_utf_8_are_refused(make_model):
    content = make_model()
    assert content.count(b"made for tests") == 1
    assert "is not UTF-8" in refusal(content.replace(b"made for tests", b"made for \xff\xfests"))


def test_what_loads_can_be_shown(make_model, make_spec):
    """Found in review: half a surrogate pair, or maps 500 deep, loaded and made GET /model a 500."""
    spec = make_spec(recipe={"name": "tiny", "deep": {"a": {"b": {"c": [1, {"d": "é 人"}]}}}})
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec
    with TestClient(
        create_app(Settings(faces="off"), Engine.from_bytes(make_model(spec), EngineOptions("cpu", 1)))
    ) as client:
        assert client.get("/model").json()["recipe"] == spec.recipe
    with pytest.raises(SpecError, match="'recipe': is nested more than 32 levels deep"):
        ModelSpec.from_metadata(spec.to_metadata() | {"recipe": '{"a":' * 33 + "1" + "}" * 33})


@pytest.mark.parametrize("special", ["pipe", "device", "folder", "loop", "large"])
def test_a_path_that_is_no_model_file_is_refused_at_once(tmp_path, special):
    path = tmp_path / "model.onnx"
    if special == "pipe":
        os.mkfifo(path)
    elif special == "device":
        path.symlink_to("/dev/zero")
    elif special == "folder":
        path.mkdir()
    elif special == "loop":
        path.symlink_to(path)
    else:
        path.touch()
        os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(ModelFileError, match=r"is not a regular file|cannot be read|over the limit of 536870912"):
        Engine.load(path, EngineOptions("cpu", 1))


def test_a_model_in_onnx_runtimes_own_format_is_refused(make_model, tmp_path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(make_model(), options, providers=["CPUExecutionProvider"])
    refusal((tmp_path / "model.ort").read_bytes())


FLIPS = """
import random, sys
from service.inference.engine_options import EngineOptions, ModelSource
from service.inference.engine import Engine
from service.inference.model_file import ModelFileError
content = open(sys.argv[1], "rb").read()
draw, counts = random.Random(5), [0, 0]
for number in range(240):
    damaged = bytearray(content)
    place = draw.randrange(len(damaged)) if number % 2 else draw.randrange(len(damaged) - 8000, len(damaged))
    damaged[place] ^= 1 << draw.randrange(8)
    try:
        Engine.from_bytes(bytes(damaged), EngineOptions("cpu", 1))
        counts[0] += 1
    except ModelFileError as error:
        assert str(error).isprintable()
        counts[1] += 1
for share in range(0, 100, 4):
    try:
        Engine.from_bytes(content[: len(content) * share // 100], EngineOptions("cpu", 1))
        raise SystemExit(f"{share} % of it loads")
    except ModelFileError:
        pass
print(*counts)
"""


def test_flipped_bits_and_cut_files_are_noticed():
    model = REPOSITORY / "models" / "residual-cnn" / "0.1.3" / "model.onnx"
    done = subprocess.run(
        [sys.executable, "-c", FLIPS, str(model)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded, refused = map(int, done.stdout.split())
    assert loaded + refused == 240
    assert refused > 40  # a weight's bit says nothing; that is what SERVICE_MODEL_SHA256 is for


def test_the_digest_that_is_asked_for_must_hold(make_model, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Engine.load(ModelSource(path, sha256=digest.upper()), EngineOptions("cpu", 1)).sha256 == digest
    with pytest.raises(ModelFileError, match=f"SHA-256 is {digest}, expected {'0' * 64}"):
        Engine.load(ModelSource(path, sha256="0" * 64), EngineOptions("cpu", 1))
