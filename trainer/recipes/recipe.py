"""Recipes: everything that decides how a network is built, fitted and chosen.

``flatten-cnn-300`` and ``dilated-cnn-128`` are two published student systems, kept exact. ``meso-4`` is the classic
small detector, with the loss, rate, batch and input of its authors and a cosine in place of their steps.
``residual-cnn`` and ``efficientnet-lite`` are ours.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from service.contract.faces.face import FINDER
from service.contract.spec import Framing, OutputKind, Preprocessing, ResizeFilter

Augmentation = Literal["none", "classic", "reencode"]
Select = Literal["last", "val_accuracy", "val_loss"]
Balance = Literal["none", "source", "cues", "subsample"]
InitialWeights = Literal["random", "imagenet"]
Share = Annotated[float, Ge(0), Le(1)]
Quality = Annotated[int, Ge(1), Le(100)]
# Inside the box of a face, where even pictures that cut the face off look like the others: on hardfake framing alone
# tells the classes apart with an AUC of .94 at margin 1, and .76 at .8.
FACE_MARGIN = 0.8
FACE_JITTER = 0.1


class RecipeError(ValueError):
    """A recipe name or setting that does not exist."""


@dataclass(frozen=True, slots=True)
class Reencoding:
    """How ``reencode`` augments; shares of pictures, each drawn by itself.

    Attributes:
        whole: taken exactly as served; ``native``: cut from the cached tensor pixel by pixel, at
            any offset; the rest: a crop of ``zoom`` (share of each side), brought to size by one of
            four kernels, or, with framing ``face``, the jittered square by the recipe's own filter.
        flip: mirrored.
        recompress: saved as JPEG (4:4:4 or 4:2:0), or for a share ``webp`` of them as WebP, at a
            ``quality`` in this range; ``recompress_again``: once more, after everything else.
        rescale: to .5 to 2 times the size and back, by two kernels.
        shrink: to .27 to 1 of the size, saved there as ``recompress`` does, and enlarged as served.
        blur, sharpen, noise, colour, greyscale, mask: the step of that name in :mod:`trainer.augment.reencode`.
    """

    whole: Share = 0.25
    native: Share = 0.15
    zoom: tuple[Share, Share] = (0.6, 1.0)
    flip: Share = 0.5
    recompress: Share = 0.6
    recompress_again: Share = 0.25
    webp: Share = 0.15
    quality: tuple[Quality, Quality] = (30, 100)
    rescale: Share = 0.2
    shrink: Share = 0.0
    blur: Share = 0.1
    sharpen: Share = 0.0
    noise: Share = 0.15
    colour: Share = 0.25
    greyscale: Share = 0.15
    mask: Share = 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way to train.

    Attributes:
        name: also the name of the network in :mod:`trainer.networks.networks`.
        preprocessing: picture to tensor, as it will be served.
        class_names: in output order.
        output_kind: ``softmax`` or a pair of ``sigmoid``.
        loss: Keras loss name, on one-hot pairs.
        optimizer: Keras optimizer name.
        learning_rate: peak learning rate.
        cosine_decay: whether it falls to 0 along a cosine after one epoch of linear warm-up.
        weight_decay: decoupled weight decay (AdamW only).
        batch_size: images a step.
        epochs: epochs of a full run.
        select: which epoch becomes the model: the last, or the best of a validation figure.
        augmentation: see :mod:`trainer.augment.reencode`.
        reencoding: how ``reencode`` augments.
        drawings: share of the training images that are turned into drawings (:mod:`trainer.augment.drawings`) and
            labelled half real, half fake; drawn anew in each epoch.
        cache_side: side of the training tensors that crops are taken from, pixels; 0 for what the
            input needs.
        face_jitter: with framing ``face``, in training: the margin varies by up to this share of
            itself, and the middle by up to half of it, as a share of the face's side.
        balance: weights of the training images, see :mod:`trainer.audit.weights`. ``source`` halves
            sources that hold one class only, and so does ``subsample``, by showing another half of their
            pictures in each epoch; ``cues`` weighs so that what the shortcut score sees no longer tells the
            classes apart. All three give the classes the same total.
        initial_weights: ``imagenet`` begins with those of :mod:`trainer.networks.pretrained`.
        consistency: weight of the consistency loss (:mod:`trainer.networks.consistency`); above 0 a batch holds half
            as many pictures, each as two views that are augmented separately.
        mirror: whether the served logits are the mean over the picture and its mirror image.
        published_seed: seed of the published 80/20 split.
    """

    name: str
    preprocessing: Preprocessing
    class_names: tuple[str, str]
    output_kind: OutputKind
    loss: Literal["categorical_crossentropy", "binary_crossentropy", "mean_squared_error"]
    optimizer: Literal["adam", "adamw"]
    learning_rate: Annotated[float, Gt(0)]
    batch_size: Annotated[int, Ge(1)]
    epochs: Annotated[int, Ge(1)]
    select: Select
    augmentation: Augmentation = "none"
    reencoding: Reencoding = Reencoding()
    drawings: Share = 0.0
    cosine_decay: bool = False
    weight_decay: Annotated[float, Ge(0)] = 0.0
    cache_side: Annotated[int, Ge(0)] = 0
    face_jitter: Share = FACE_JITTER
    balance: Balance = "none"
    initial_weights: InitialWeights = "random"
    consistency: Annotated[float, Ge(0)] = 0.0
    mirror: bool = False
    published_seed: int = 42

    @property
    def views(self) -> int:
        """How often a batch holds each picture."""
        return 2 if self.consistency else 1

    @property
    def train_preprocessing(self) -> Preprocessing:
        """Picture to the tensor that training crops from: as served, but larger, and with room for the jitter."""
        margin = self.preprocessing.face_margin
        if self.preprocessing.framing == "face" and margin is not None:
            wide = margin * (1 + self.face_jitter) + self.face_jitter  # the widest square, shifted to either side
            side = max(self.cache_side, math.ceil(self.preprocessing.input_height * wide / margin))
            return replace(self.preprocessing, input_height=side, input_width=side, face_margin=wide)
        if self.augmentation != "reencode":
            return self.preprocessing
        side = max(self.cache_side, self.preprocessing.input_height)
        return replace(self.preprocessing, input_height=side, input_width=side)

    def settings(self) -> dict[str, Any]:
        """Return every field as JSON values, for ``config.json`` and the model's metadata."""
        return asdict(self)


def _square(side: int, resize_filter: Any, fit: Any, framing: Framing) -> Preprocessing:
    return Preprocessing(side, side, resize_filter, fit, "apply", framing)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="flatten-cnn-300",
            preprocessing=_square(300, "nearest", "stretch", "whole"),
            class_names=("fake", "real"),
            output_kind="softmax",
            loss="categorical_crossentropy",
            optimizer="adam",
            learning_rate=1e-4,
            batch_size=32,
            epochs=10,
            select="last",
        ),
        Recipe(
            name="dilated-cnn-128",
            preprocessing=_square(128, "nearest", "stretch", "whole"),
            class_names=("real", "fake"),
            output_kind="sigmoid",
            loss="binary_crossentropy",
            optimizer="adam",
            learning_rate=1e-5,
            batch_size=32,
            epochs=100,
            select="val_accuracy",
            published_seed=5,
        ),
        Recipe(
            name="meso-4",
            preprocessing=replace(_square(256, "bicubic", "crop", "face"), face_margin=1.0, face_finder=FINDER),
            class_names=("real", "fake"),
            output_kind="sigmoid",
            loss="mean_squared_error",
            optimizer="adam",
            learning_rate=1e-3,
            cosine_decay=True,
            batch_size=75,
            epochs=30,
            select="val_loss",
            augmentation="classic",
        ),
        Recipe(
            name="residual-cnn",
            preprocessing=_square(128, "bicubic", "crop", "whole"),
            class_names=("real", "fake"),
            output_kind="softmax",
            loss="categorical_crossentropy",
            optimizer="adamw",
            learning_rate=2e-3,
            cosine_decay=True,
            weight_decay=1e-2,
            batch_size=64,
            epochs=24,
            select="val_loss",
            augmentation="reencode",
            cache_side=256,
            balance="cues",
        ),
        Recipe(
            name="efficientnet-lite",
            preprocessing=replace(_square(160, "bicubic", "crop", "face"), face_margin=0.9, face_finder=FINDER),
            class_names=("real", "fake"),
            output_kind="softmax",
            loss="categorical_crossentropy",
            optimizer="adamw",
            learning_rate=1e-3,
            cosine_decay=True,
            weight_decay=1e-2,
            batch_size=48,
            epochs=46,
            select="last",
            augmentation="reencode",
            reencoding=Reencoding(sharpen=0.2, shrink=0.45),
            drawings=0.15,
            balance="subsample",
            initial_weights="imagenet",
            consistency=2.0,
            mirror=True,
        ),
    )
}


def get_recipe(name: str, **changes: Any) -> Recipe:
    """Return a recipe by name, with the given fields replaced; see :func:`changed_recipe`.

    Raises:
        RecipeError: no recipe has that name, or as :func:`changed_recipe`.
    """
    if name not in RECIPES:
        raise RecipeError(f"recipe '{name}' is not one of {', '.join(RECIPES)}")
    return changed_recipe(RECIPES[name], **changes)


def changed_recipe(
    recipe: Recipe,
    *,
    resize_filter: ResizeFilter | None = None,
    framing: Framing | None = None,
    face_margin: float | None = None,
    **overrides: Any,
) -> Recipe:
    """Return a recipe with the given fields replaced where they are not None.

    Args:
        recipe: as it stands.
        resize_filter: how pictures are brought to the input size, in training and when served.
        framing: ``whole``, or ``face`` with a margin of .8 unless another is given.
        face_margin: side of the square around a face, as a multiple of its box's longer side.
        overrides: fields of :class:`Recipe`.

    Raises:
        RecipeError: a margin is given without a face to apply it to.
    """
    how = recipe.preprocessing
    how = replace(how, resize_filter=resize_filter or how.resize_filter, framing=framing or how.framing)
    if how.framing == "face":
        how = replace(how, face_margin=face_margin or how.face_margin or FACE_MARGIN, face_finder=FINDER)
    elif face_margin is not None:
        raise RecipeError(
            f"face margin {face_margin:g} needs the framing 'face', and recipe '{recipe.name}' has '{how.framing}'"
        )
    return replace(recipe, preprocessing=how, **{key: value for key, value in overrides.items() if value is not None})
