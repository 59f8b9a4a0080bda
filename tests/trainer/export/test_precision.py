"""int8 and float16: the same answers, smaller, in a file that says what it is."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.run import Run
from trainer.data.splits import read_split
from trainer.data.tensors import load_tensor


@pytest.fixture(scope="module")
def tensors(run) -> np.ndarray:
    engine = Engine.load(run / "model.onnx", EngineOptions("cpu"))
    return np.stack([load_tensor(s.path, engine.spec.preprocessing) for s in read_split(run / "split.csv").train])


def test_the_file_is_smaller_and_says_what_it_is(run, precision):
    full, small = (
        Engine.load(run / "model.onnx", EngineOptions("cpu")),
        Engine.load(Run(run).model_at(precision), EngineOptions("cpu")),
    )
    assert (full.spec.precision, small.spec.precision) == ("float32", precision)
    assert Run(run).model_at(precision).stat().st_size < 0.6 * (run / "model.onnx").stat().st_size
    assert small.spec.dataset_fingerprint == full.spec.dataset_fingerprint


def test_low_precision_logits_are_near_float32_in_any_batch(run, precision, tensors):
    full, small = (
        Engine.load(run / "model.onnx", EngineOptions("cpu")),
        Engine.load(Run(run).model_at(precision), EngineOptions("cpu")),
    )
    expected, actual = full.logits(tensors), small.logits(tensors)
    spread = expected.std()
    assert np.abs(actual - expected).max() < (0.5 if precision == "int8" else 0.05) * spread
    for size in (1, 3, 8):
        np.testing.assert_allclose(small.logits(tensors[:size]), actual[:size], atol=0.1 * spread)


def test_its_arithmetic_is_what_it_says(run, precision):
    graph = onnx.load(Run(run).model_at(precision)).graph
    kinds = [value.data_type for value in graph.initializer]
    if precision == "int8":
        assert "QuantizeLinear" in {node.op_type for node in graph.node}
        assert onnx.TensorProto.INT8 in kinds
    else:
        assert onnx.TensorProto.FLOAT16 in kinds
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_lower_precision_is_published_with_its_card(trainer, run, precision, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainer.release.gates.MIN_SPEEDUP", 0.0)  # this network on this machine gains little
    monkeypatch.setattr("trainer.release.gates.MIN_SPECIFICITY", 0.0)
    monkeypatch.setattr("trainer.release.gates.MAX_ECE", 1.0)
    monkeypatch.setattr("trainer.release.gates.MAX_FLIPS", 1.0)
    monkeypatch.setattr("trainer.release.gates.MAX_MILLISECONDS", 1000.0)  # a busy machine is no worse model
    models = tmp_path / "models"
    options = ("--precision", precision, "--models", models, "--robustness", "2")
    assert trainer("publish", run, *options) == 0
    (card,) = models.rglob("MODEL_CARD.md")
    assert f"trainer export RUN --{'int8' if precision == 'int8' else 'fp16'}`" in card.read_text()
    assert Engine.load(card.parent / "model.onnx", EngineOptions("cpu")).spec.precision == precision


def test_a_precision_that_was_not_exported_is_not_published(trainer, run_without, tmp_path, capsys):
    assert trainer("publish", run_without, "--precision", "int8", "--models", tmp_path / "models") == 1
    assert "needs its model.int8.onnx and metrics.int8.json" in capsys.readouterr().err.replace("\n", " ")
    (run_without / "metrics.json").unlink()
    assert trainer("export", run_without, "--int8") == 1
    assert "has not finished" in capsys.readouterr().err.replace("\n", " ")


@pytest.fixture
def run_without(run, tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("config.json", "metrics.json", "model.onnx", "split.csv"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder
