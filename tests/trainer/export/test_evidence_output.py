"""The evidence map of an exported graph: its mean is the logits, in every precision and with mirroring."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.export.convert import convert
from trainer.export.evidence_output import with_evidence, without_evidence
from trainer.export.export import with_metadata
from trainer.export.precision import to_float16, to_int8
from trainer.networks.networks import build_network, logits_model
from trainer.recipes.recipe import RECIPES


@pytest.fixture(scope="module")
def exported(make_spec):
    """Return an untrained efficientnet-lite's graph and spec, mirrored or not."""

    def make(mirror: bool):
        keras.utils.set_random_seed(0)
        recipe = replace(RECIPES["efficientnet-lite"], initial_weights="random", mirror=mirror)
        spec = make_spec(input_height=160, input_width=160, recipe=recipe.settings())
        return convert(logits_model(build_network(recipe), mirror=mirror)), spec

    return {mirror: make(mirror) for mirror in (False, True)}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), np.uint8)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_the_map_is_what_the_logits_are_the_mean_of(exported, images, mirror, precision):
    graph, spec = exported[mirror]
    if precision == "float16":
        graph = to_float16(graph)
    elif precision == "int8":
        graph = to_int8(graph, images)
    engine = Engine.from_bytes(with_metadata(graph, spec), EngineOptions("cpu", 1))
    assert engine.evidence_size == (10, 10)
    evidence = engine.evidence(images)
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)), engine.logits(images), rtol=1e-2, atol=1e-3)
    if mirror:
        mirrored = engine.evidence(np.ascontiguousarray(images[:, :, ::-1]))
        np.testing.assert_allclose(mirrored[:, :, ::-1], evidence, rtol=1e-2, atol=1e-3)


def test_what_leads_to_the_logits_stays_as_it_was(exported):
    graph, spec = exported[True]
    whole = with_evidence(graph, spec)
    assert [output.name for output in whole.graph.output] == ["logits", "evidence"]
    assert without_evidence(whole).SerializeToString() == graph.SerializeToString()
    assert with_evidence(whole, spec).SerializeToString() == whole.SerializeToString()


@pytest.mark.parametrize("name", ["flatten-cnn-300", "dilated-cnn-128", "meso-4"])
def test_a_network_without_such_a_map_has_one_output(make_spec, name):
    graph = convert(logits_model(build_network(RECIPES[name])))
    assert [output.name for output in with_evidence(graph, make_spec()).graph.output] == ["logits"]
