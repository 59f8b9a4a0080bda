"""The networks, in plain Keras 3.

Every network takes uint8 ``[N, H, W, 3]`` RGB (its first layer rescales) and ends in a layer named
``logits``, float32 ``[N, 2]``, followed by the activation that the training loss requires.
"""

from typing import Any

import keras
from keras import layers

from service.contract.spec import OutputKind
from trainer.networks.auc import FakeAUC
from trainer.networks.consistency import Consistency
from trainer.networks.efficientnet import features, load_imagenet
from trainer.networks.pretrained import imagenet_weights
from trainer.recipes.recipe import Recipe

LOGITS = "logits"
EVIDENCE = "evidence"


def build_network(recipe: Recipe) -> keras.Model:
    """Build the network of a recipe, with random weights from Keras's global seed or with ImageNet weights.

    Raises:
        TrainerError: the package with the ImageNet weights is missing.
    """
    model = _BUILDERS[recipe.name](recipe)
    if recipe.initial_weights == "imagenet":
        load_imagenet(model, imagenet_weights())
    return model


def compiled_network(recipe: Recipe, steps: int) -> keras.Model:
    """Build the network of a recipe, and compile it with the optimizer and loss, accuracy and AUC.

    Args:
        recipe: recipe of the network.
        steps: training steps per epoch; a cosine decay covers the steps of all epochs.
    """
    model = build_network(recipe)
    rate: Any = recipe.learning_rate
    if recipe.cosine_decay:
        total = max(steps + 1, recipe.epochs * steps)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, total - steps, warmup_target=recipe.learning_rate, warmup_steps=steps
        )
    optimizer = (
        keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
        if recipe.optimizer == "adamw"
        else keras.optimizers.Adam(rate)
    )
    accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    auc = FakeAUC(recipe.class_names.index("fake"))
    model.compile(optimizer=optimizer, loss=recipe.loss, metrics=[accuracy, auc], jit_compile=uses_xla())
    return model


def uses_xla() -> bool:
    """Return whether training is compiled with XLA, which only the JAX backend needs.

    On two CPU cores XLA is 2.3 times slower than TensorFlow's own kernels. Keras runs PyTorch without it.
    """
    return bool(keras.backend.backend() == "jax")


def logits_model(model: keras.Model, *, mirror: bool = False) -> keras.Model:
    """Return the part of a trained model that is exported: uint8 images to logits.

    Args:
        model: model that ends in logits and an activation.
        mirror: return the mean logits of the picture and its mirror image, computed as a batch of twice the size.
    """
    plain = keras.Model(model.input, model.get_layer(LOGITS).output, name=model.name)
    if not mirror:
        return plain
    image = keras.Input(model.input.shape[1:], dtype="uint8", name="image")
    both = plain(keras.ops.concatenate([image, image[:, :, ::-1]], axis=0))
    views = keras.ops.reshape(both, (2, -1, both.shape[-1]))
    return keras.Model(image, keras.ops.mean(views, axis=0), name=model.name)


def _input(recipe: Recipe) -> keras.KerasTensor:
    size = recipe.preprocessing
    return keras.Input((size.input_height, size.input_width, 3), dtype="uint8", name="image")


def _model(recipe: Recipe, inputs: keras.KerasTensor, logits: keras.KerasTensor) -> keras.Model:
    kind: OutputKind = recipe.output_kind
    outputs = layers.Activation(kind, name="probabilities", dtype="float32")(logits)
    if recipe.consistency:
        outputs = Consistency(recipe.consistency, name="consistency", dtype="float32")(outputs)
    return keras.Model(inputs, outputs, name=recipe.name)


def _flatten_cnn(recipe: Recipe) -> keras.Model:
    inputs = _input(recipe)
    x = layers.Rescaling(1 / 255)(inputs)
    for filters in (32, 64):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return _model(recipe, inputs, layers.Dense(2, name=LOGITS)(x))


def _dilated_cnn(recipe: Recipe) -> keras.Model:
    inputs = _input(recipe)
    x = layers.Rescaling(1 / 255)(inputs)
    for filters, kernel, dilation in ((64, 5, 1), (64, 5, 1), (64, 5, 1), (32, 3, 2), (16, 3, 2), (16, 3, 2)):
        x = layers.Conv2D(filters, kernel, padding="same", dilation_rate=dilation, activation="relu")(x)
        x = layers.MaxPooling2D(2, strides=2)(x)
    x = layers.GlobalAveragePooling2D()(x)
    for units in (400, 512, 400):
        x = layers.Dense(units)(x)
        x = layers.Dropout(0.5)(x)
        x = layers.ReLU()(x)
    return _model(recipe, inputs, layers.Dense(2, name=LOGITS)(x))


def _meso_4(recipe: Recipe) -> keras.Model:
    """Build Meso-4 (Afchar et al. 2018, arXiv:1809.00888) with two outputs instead of one."""
    inputs = _input(recipe)
    x = layers.Rescaling(1 / 255)(inputs)
    for filters, kernel, pool in ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4)):
        x = layers.Conv2D(filters, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.1)(layers.Dense(16)(x))
    x = layers.Dropout(0.5)(x)
    return _model(recipe, inputs, layers.Dense(2, name=LOGITS)(x))


def _residual_cnn(recipe: Recipe) -> keras.Model:
    """Build residual stages (He et al. 2016, arXiv:1603.05027) over RGB and high-pass channels."""
    inputs = _input(recipe)
    rgb = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    # The residual of a 3x3 mean holds the up-sampling artefacts; its values are small, hence the gain.
    smooth = layers.AveragePooling2D(3, strides=1, padding="same", name="low_pass")(rgb)
    high_pass = layers.Rescaling(4.0, name="high_pass_gain")(layers.Subtract(name="high_pass")([rgb, smooth]))
    x = layers.Concatenate()([rgb, high_pass])
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(x)
    for filters, blocks in ((24, 1), (48, 2), (96, 1)):
        x = _normalised(x)
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        for _ in range(blocks):
            x = _residual_block(x, filters)
    return _evidence_head(recipe, inputs, _normalised(x))


def _efficientnet_lite(recipe: Recipe) -> keras.Model:
    """Build EfficientNet-Lite0 up to a stride of 16 (:mod:`trainer.networks.efficientnet`) with the evidence head."""
    inputs = _input(recipe)
    return _evidence_head(recipe, inputs, features(inputs))


def _evidence_head(recipe: Recipe, inputs: keras.KerasTensor, x: keras.KerasTensor) -> keras.Model:
    """Add the head, ``1x1 convolution -> global average pooling``, and return the model.

    The map before pooling is the exact evidence per region; its mean is the logits (class activation maps, Zhou et al.
    2016, arXiv:1512.04150).
    """
    x = layers.Dropout(0.2)(x)
    evidence = layers.Conv2D(2, 1, name=EVIDENCE, dtype="float32")(x)
    return _model(recipe, inputs, layers.GlobalAveragePooling2D(name=LOGITS, dtype="float32")(evidence))


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))


def _residual_block(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(_normalised(x))
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(_normalised(y))
    return layers.Add()([x, y])


_BUILDERS = {
    "flatten-cnn-300": _flatten_cnn,
    "dilated-cnn-128": _dilated_cnn,
    "meso-4": _meso_4,
    "residual-cnn": _residual_cnn,
    "efficientnet-lite": _efficientnet_lite,
}
