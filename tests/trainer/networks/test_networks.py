"""Networks: the published ones exactly, ours small."""

import keras
import numpy as np
import pytest

from trainer.common.run import Run
from trainer.networks.networks import build_network, compiled_network, logits_model
from trainer.recipes.recipe import RECIPES, get_recipe
from trainer.training import fit
from trainer.training.checkpoints import RunState, checkpoint_path


@pytest.fixture(scope="module")
def networks() -> dict[str, keras.Model]:
    return {name: build_network(recipe) for name, recipe in RECIPES.items()}


def kinds(network: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


@pytest.mark.parametrize(("name", "parameters"), [("flatten-cnn-300", 46_099_778), ("dilated-cnn-128", 653_314)])
def test_the_published_systems_have_their_published_parameters(networks, name, parameters):
    assert networks[name].count_params() == parameters


@pytest.mark.parametrize(("name", "parameters"), [("residual-cnn", 318_018), ("efficientnet-lite", 717_154)])
def test_ours_are_under_a_million_parameters(networks, name, parameters):
    assert networks[name].count_params() == parameters


def test_flatten_has_the_published_layers(networks):
    block = ["Conv2D", "MaxPooling2D", "Dropout"]
    assert kinds(networks["flatten-cnn-300"]) == [
        *("InputLayer", "Rescaling", *block, *block, "Flatten", "Dense", "Dropout", "Dense", "Activation")
    ]
    rates = [layer.rate for layer in networks["flatten-cnn-300"].layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.25, 0.25, 0.5]


def test_dilated_has_the_published_layers(networks):
    network = networks["dilated-cnn-128"]
    head = ["Dense", "Dropout", "ReLU"] * 3
    expected = ["InputLayer", "Rescaling", *["Conv2D", "MaxPooling2D"] * 6, "GlobalAveragePooling2D", *head]
    assert kinds(network) == [*expected, "Dense", "Activation"]
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    described = [(layer.filters, layer.kernel_size[0], layer.dilation_rate[0]) for layer in convolutions]
    assert described == [(64, 5, 1)] * 3 + [(32, 3, 2), (16, 3, 2), (16, 3, 2)]
    assert network.layers[-1].activation is keras.activations.sigmoid


def test_meso_4_has_the_published_layers_and_a_second_output(networks):
    network = networks["meso-4"]
    block = ["Conv2D", "BatchNormalization", "MaxPooling2D"]
    head = ["Flatten", "Dropout", "Dense", "LeakyReLU", "Dropout", "Dense", "Activation"]
    assert kinds(network) == ["InputLayer", "Rescaling", *block * 4, *head]
    trainable = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert trainable == 27_977 + 17
    assert network.layers[-1].activation is keras.activations.sigmoid


@pytest.mark.parametrize(
    ("name", "optimizer", "rate", "loss"),
    [
        ("flatten-cnn-300", keras.optimizers.Adam, 1e-4, "categorical_crossentropy"),
        ("dilated-cnn-128", keras.optimizers.Adam, 1e-5, "binary_crossentropy"),
    ],
)
def test_the_published_systems_are_compiled_as_published(name, optimizer, rate, loss):
    network = compiled_network(RECIPES[name], steps=10)
    assert type(network.optimizer) is optimizer
    assert float(network.optimizer.learning_rate) == pytest.approx(rate)
    assert network.loss == loss


def test_ours_warms_up_for_an_epoch_and_decays_to_nothing():
    network = compiled_network(get_recipe("residual-cnn", epochs=5), steps=10)
    schedule = network.optimizer._learning_rate
    rates = [float(schedule(step)) for step in (0, 10, 30, 50)]
    assert type(network.optimizer) is keras.optimizers.AdamW
    assert rates == pytest.approx([0, 2e-3, 1e-3, 0], abs=1e-6)


@pytest.mark.parametrize("name", RECIPES)
def test_probabilities_are_the_activation_of_the_logits(networks, name):
    network = networks[name]
    size = RECIPES[name].preprocessing
    images = np.random.default_rng(0).integers(0, 256, (2, size.input_height, size.input_width, 3), dtype=np.uint8)
    logits = keras.ops.convert_to_numpy(logits_model(network)(images))
    probabilities = keras.ops.convert_to_numpy(network(images))
    expected = {"softmax": keras.ops.softmax, "sigmoid": keras.ops.sigmoid}[RECIPES[name].output_kind](logits)
    np.testing.assert_allclose(probabilities, keras.ops.convert_to_numpy(expected), atol=1e-6)


def test_the_evidence_map_averages_to_the_logits(networks):
    network = networks["residual-cnn"]
    images = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    both = keras.Model(network.input, [network.get_layer("evidence").output, network.get_layer("logits").output])
    evidence, logits = (keras.ops.convert_to_numpy(output) for output in both(images))
    assert evidence.shape == (2, 16, 16, 2)
    np.testing.assert_allclose(evidence.mean(axis=(1, 2)), logits, atol=1e-5)


def test_mirrored_model_gives_the_mean_of_both_views(networks):
    model = networks["efficientnet-lite"]
    plain, mirrored = logits_model(model), logits_model(model, mirror=True)
    images = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)
    expected = (np.asarray(plain(images)) + np.asarray(plain(images[:, :, ::-1]))) / 2
    np.testing.assert_allclose(np.asarray(mirrored(images)), expected, atol=1e-5)
    np.testing.assert_allclose(np.asarray(mirrored(images[:1])), expected[:1], atol=1e-5)
    np.testing.assert_allclose(np.asarray(mirrored(images[:, :, ::-1])), expected, atol=1e-5)
    assert mirrored.count_params() == model.count_params()


def test_run_from_a_different_backend_is_recompiled(tmp_path):
    """Found by a run from JAX, whose XLA TensorFlow went on with, three times as slowly."""
    run, recipe = Run(tmp_path), get_recipe("residual-cnn")
    here = compiled_network(recipe, 2)
    began = compiled_network(recipe, 2)
    began.compile(optimizer=began.optimizer, loss=recipe.loss, jit_compile=not here.jit_compile)
    began.optimizer.build(began.trainable_variables)
    run.checkpoints.mkdir()
    began.save(checkpoint_path(run.checkpoints, 1))
    goes_on = fit._model(run, recipe, RunState(epoch=1), 2)
    assert goes_on.jit_compile == here.jit_compile
    assert all(np.array_equal(*pair) for pair in zip(goes_on.get_weights(), began.get_weights(), strict=True))
