"""Export: what is served answers as Keras does, or nothing is written."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.export.convert import convert
from trainer.export.export import with_metadata, write_verified
from trainer.export.parity import same_verdicts
from trainer.networks.networks import build_network, logits_model
from trainer.recipes.recipe import RECIPES


@pytest.fixture(scope="module")
def exported(make_spec):
    """Return a function that converts a recipe's untrained network: network, graph and spec."""
    made = {}

    def convert_once(name: str):
        if name not in made:
            keras.utils.set_random_seed(0)
            recipe = RECIPES[name]
            network = logits_model(build_network(recipe))
            how = recipe.preprocessing
            spec = make_spec(
                name=name,
                class_names=recipe.class_names,
                output_kind=recipe.output_kind,
                input_height=how.input_height,
                input_width=how.input_width,
                resize_filter=how.resize_filter,
                resize_fit=how.resize_fit,
                threshold_real=0.5,
                threshold_fake=0.5,
            )
            made[name] = network, convert(network), spec
        return made[name]

    return convert_once


@pytest.fixture(scope="module")
def pictures(faces):
    return sorted((faces / "real").iterdir())[:5] + sorted((faces / "fake").iterdir())[:5]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_exports_with_parity_at_batch_1_3_and_8(exported, pictures, tmp_path, name):
    network, graph, spec = exported(name)
    parity = write_verified(tmp_path / "model.onnx", graph, spec, network, pictures)
    assert parity.files == 10
    assert parity.max_difference <= 1e-4
    engine = Engine.load(tmp_path / "model.onnx", EngineOptions("cpu"))
    assert engine.spec == spec


def test_an_unfaithful_export_is_refused_and_nothing_is_written(exported, pictures, tmp_path):
    _, graph, spec = exported("residual-cnn")
    keras.utils.set_random_seed(1)
    other = logits_model(build_network(RECIPES["residual-cnn"]))
    with pytest.raises(TrainerError, match="parity check failed: a logit differs by"):
        write_verified(tmp_path / "model.onnx", graph, spec, other, pictures)
    assert list(tmp_path.iterdir()) == []


def test_parity_without_a_picture_is_refused(exported, tmp_path):
    network, graph, spec = exported("residual-cnn")
    with pytest.raises(TrainerError, match="needs at least one picture"):
        write_verified(tmp_path / "model.onnx", graph, spec, network, [])


def test_large_weights_are_initializers_of_the_graph_not_inputs(exported):
    _, graph, _ = exported("flatten-cnn-300")
    assert [item.name for item in graph.graph.input] == ["image"]
    assert any(np.prod(item.dims) == 75 * 75 * 64 * 128 for item in graph.graph.initializer)


def test_rescaling_is_in_the_graph(exported):
    """Raw uint8 goes in: the answer to black and to white differs, whatever the weights."""
    _, graph, spec = exported("dilated-cnn-128")
    engine = Engine.from_bytes(with_metadata(graph, spec), EngineOptions("cpu"))
    black, white = (engine.logits(np.full((1, 128, 128, 3), value, np.uint8)) for value in (0, 255))
    assert not np.allclose(black, white)


def test_a_verdict_that_differs_is_refused_even_where_the_logits_are_close(make_spec):
    engine = SimpleNamespace(spec=make_spec(threshold_real=0.5, threshold_fake=0.5, temperature=1.0))
    with pytest.raises(TrainerError, match=r"Keras says fake .* the engine real"):
        same_verdicts(np.array([[0.0, 1e-6]]), np.array([[1e-6, 0.0]]), engine, 1)
