"""Export: what is served answers as Keras does, or nothing is written."""

import pytest

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.export.export import write_verified
from trainer.recipes.recipe import RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_exports_with_parity_at_batch_1_3_and_8(exported, pictures, tmp_path, name):
    network, graph, spec = exported(name)
    parity = write_verified(tmp_path / "model.onnx", graph, spec, network, pictures)
    assert parity.files == 10
    assert parity.max_difference <= 1e-4
    engine = Engine.load(tmp_path / "model.onnx", EngineOptions("cpu"))
    assert engine.spec == spec
