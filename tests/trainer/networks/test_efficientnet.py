"""The backbone: every weight is that of ImageNet."""

import keras
import numpy as np

from trainer.networks.networks import build_network
from trainer.networks.pretrained import imagenet_weights
from trainer.recipes.recipe import get_recipe


def test_every_weight_of_the_backbone_is_that_of_imagenet():
    keras.utils.set_random_seed(0)
    begun = build_network(get_recipe("efficientnet-lite"))
    keras.utils.set_random_seed(0)
    blank = build_network(get_recipe("efficientnet-lite", initial_weights="random"))
    for layer, blank_layer in zip(begun.layers, blank.layers, strict=True):
        for mine, random in zip(layer.get_weights(), blank_layer.get_weights(), strict=True):
            assert np.array_equal(mine, random) == (layer.name == "evidence"), layer.name
    kernel = imagenet_weights()["_blocks.3._project_conv.weight"]
    np.testing.assert_array_equal(begun.get_layer("block3_project").get_weights()[0][0, 0], kernel[:, :, 0, 0].T)


def test_features_have_the_means_of_batch_normalisation():
    """So they only do if every layer is wired as it was trained: one kernel's channels reversed give .78."""
    network = build_network(get_recipe("efficientnet-lite"))
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(160), np.fft.fftfreq(160)))[None, :, :, None]
    frequency[0, 0, 0] = 1
    natural = np.fft.ifft2(np.fft.fft2(rng.normal(size=(4, 160, 160, 3)), axes=(1, 2)) / frequency, axes=(1, 2)).real
    natural += 3 * natural.mean(axis=3, keepdims=True)  # photos are nearly grey, and their spectrum falls as 1/f
    pictures = np.clip(120 + 60 * natural / natural.std(), 0, 255).astype(np.uint8)
    last = network.get_layer("block10_project_norm")
    features = keras.Model(network.input, last.input).predict(pictures, verbose=0)
    assert features.shape == (4, 10, 10, 112)
    assert np.corrcoef(features.mean(axis=(0, 1, 2)), np.asarray(last.moving_mean))[0, 1] > 0.95
