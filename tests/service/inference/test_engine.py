"""Engine: a file that cannot be trusted is refused at load, with the key named."""

import dataclasses
import hashlib

import numpy as np
import pytest

from service.inference.engine import Engine, InferenceError, batch_shapes
from service.inference.engine_options import EngineOptions
from service.inference.model_file import ModelFileError
from tests.bench import cuda_rate


def test_a_good_file_loads_and_answers(make_model):
    content = make_model()
    engine = Engine.from_bytes(content, EngineOptions("cpu"))
    logits = engine.logits(np.full((3, 48, 48, 3), 200, np.uint8))
    assert logits.shape == (3, 2)
    assert (logits[:, 1] > 0).all()
    assert engine.sha256 == hashlib.sha256(content).hexdigest()
    assert engine.provider == "CPUExecutionProvider"


def test_a_batch_answers_as_its_images_alone(make_model):
    engine = Engine.from_bytes(make_model(), EngineOptions("cpu"))
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 3), dtype=np.uint8)
    alone = np.concatenate([engine.logits(image[None]) for image in images])
    np.testing.assert_allclose(engine.logits(images), alone, atol=1e-5)


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(ModelFileError, match=r"model file '.*absent.onnx' cannot be read: No such file") as refused:
        Engine.load(tmp_path / "absent.onnx")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 50])
def test_a_corrupt_file_is_one_clear_line(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="is refused: not a loadable ONNX model") as refused:
        Engine.load(path)
    assert "\n" not in str(refused.value)


def test_a_truncated_file_is_refused(make_model):
    content = make_model()
    with pytest.raises(ModelFileError):
        Engine.from_bytes(content[: len(content) // 2])


def test_missing_metadata_names_the_key(make_model, make_spec):
    metadata = make_spec().to_metadata()
    del metadata["threshold_fake"]
    with pytest.raises(ModelFileError, match="'threshold_fake': is missing"):
        Engine.from_bytes(make_model(metadata=metadata))


def test_a_model_that_answers_nan_fails_its_warm_up(make_model):
    with pytest.raises(ModelFileError, match="fails its warm-up: output holds NaN"):
        Engine.from_bytes(make_model(weights=np.full((3, 2), np.nan)))


def test_input_of_another_size_is_an_inference_error(make_model):
    with pytest.raises(InferenceError):
        Engine.from_bytes(make_model(), EngineOptions("cpu")).logits(np.zeros((1, 50, 48, 3), np.uint8))


@pytest.mark.parametrize(("most", "shapes"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))])
def test_batch_shapes_are_powers_of_two_and_the_largest(most, shapes):
    assert batch_shapes(most) == shapes


def test_a_padded_run_gives_the_same_rows_and_no_more(make_model):
    """As on CUDA, where every new batch size would cost a search for kernels."""
    plain = Engine.from_bytes(make_model(), EngineOptions("cpu"))
    ran = []

    class Counting:
        def run(self, outputs, inputs, run_options=None):
            ran.append(len(inputs["image"]))
            return plain._session.run(outputs, inputs)

    padded = dataclasses.replace(plain, _session=Counting(), shapes=batch_shapes(8))
    images = np.random.default_rng(1).integers(0, 256, (9, 48, 48, 3), dtype=np.uint8)
    for count in (1, 3, 5, 8, 9):
        np.testing.assert_array_equal(padded.logits(images[:count]), plain.logits(images[:count]))
    assert ran == [1, 4, 8, 8, 9]
    padded.warm_up()
    assert ran[5:] == [1, 2, 4, 8]


def test_the_cuda_benchmark_measures_what_it_is_given(make_model):
    """Its two loops, here on the CPU: on a machine with a device they must not fail for another reason."""
    engine = Engine.from_bytes(make_model(), EngineOptions("cpu", 1))
    assert cuda_rate.rate(engine, 4, 2, seconds=0.05) > 0
    assert cuda_rate.limit(engine, 4, "cpu", seconds=0.05) > 0
