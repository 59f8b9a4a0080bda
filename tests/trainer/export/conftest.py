"""Fixtures: exported networks, and a run at lower precisions."""

from pathlib import Path

import keras
import pytest

from trainer.export.convert import convert
from trainer.networks.networks import build_network, logits_model
from trainer.recipes.recipe import RECIPES


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def pictures(faces):
    return sorted((faces / "real").iterdir())[:5] + sorted((faces / "fake").iterdir())[:5]


@pytest.fixture(scope="session")
def run(trainer, faces, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "2", "--batch-size", "16", "--out", folder)
    assert trainer("fit", faces, *options) == 0
    return folder


@pytest.fixture(scope="session", params=["int8", "float16"])
def precision(request, trainer, run) -> str:
    assert trainer("export", run, "--int8" if request.param == "int8" else "--fp16") == 0
    return request.param
