"""Recipes: all settings that determine how a network is built, fitted and selected.

``flatten-cnn-300`` and ``dilated-cnn-128`` reproduce two published student systems exactly. ``meso-4`` is the classic
small detector with the loss, learning rate, batch size and input of its authors, and cosine decay in place of their
step decay. ``residual-cnn`` and ``efficientnet-lite`` are designed in this project.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le
from pydantic import ConfigDict

from service.contract.faces.face import FINDER
from service.contract.spec import Framing, OutputKind, Preprocessing, ResizeFilter, ResizeFit

Augmentation = Literal["none", "classic", "reencode"]
Select = Literal["last", "val_accuracy", "val_loss"]
Balance = Literal["none", "source", "cues", "subsample"]
InitialWeights = Literal["random", "imagenet"]
Share = Annotated[float, Ge(0), Le(1)]
Quality = Annotated[int, Ge(1), Le(100)]
# Inside the face box, where even pictures with a cut-off face look like the rest. On hardfake, framing alone separates
# the classes with an AUC of 0.94 at margin 1 and 0.76 at margin 0.8.
FACE_MARGIN = 0.8
FACE_JITTER = 0.1


class RecipeError(ValueError):
    """Unknown recipe name, or an unknown or invalid setting."""


@dataclass(frozen=True, slots=True)
class Reencoding:
    """Settings of the augmentation ``reencode``: shares of the pictures, each drawn independently.

    Attributes:
        whole: taken exactly as served; ``native``: cut from the cached tensor without resampling, at any offset; the
            rest: a crop of ``zoom`` (share of each side), resized with one of four kernels, or, with framing ``face``,
            the jittered square, resized with the recipe's own filter.
        flip: mirrored.
        recompress: saved as JPEG (4:4:4 or 4:2:0), or a share ``webp`` of them as WebP, at a ``quality`` in this
            range; ``recompress_again``: saved once more, after all other steps.
        rescale: resized to 0.5 to 2 times the size and back, with two kernels.
        shrink: reduced to 0.27 to 1 of the size, saved as ``recompress`` does, and enlarged to the served size.
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
    """Settings of a network and its training.

    Attributes:
        name: name of the recipe and of its network in :mod:`trainer.networks.networks`.
        preprocessing: picture to tensor, as served.
        class_names: class names in output order.
        output_kind: ``softmax`` or a pair of ``sigmoid``.
        loss: Keras loss name, on one-hot pairs.
        optimizer: Keras optimizer name.
        learning_rate: peak learning rate.
        cosine_decay: whether the learning rate decays to 0 along a cosine after one epoch of linear warm-up.
        weight_decay: decoupled weight decay (AdamW only).
        batch_size: images per step.
        epochs: number of epochs of a full run.
        select: which epoch becomes the model: the last, or the best by a validation metric.
        augmentation: see :mod:`trainer.augment.reencode`.
        reencoding: settings of the augmentation ``reencode``.
        drawings: share of the training images that are turned into drawings (:mod:`trainer.augment.drawings`) and
            labelled half real, half fake; redrawn every epoch.
        cache_side: side of the training tensors that crops are taken from, pixels; 0 for the input size.
        face_jitter: with framing ``face``, in training: the margin varies by up to this share of itself, and the
            centre by up to half of this share of the face's side.
        balance: weights of the training images, see :mod:`trainer.audit.weights`. ``source`` halves the weight of
            sources with a single class; ``subsample`` shows alternate halves of such a source in alternate epochs;
            ``cues`` weights the images so that the cues of the shortcut score no longer separate the classes. All
            three give the classes the same total weight.
        initial_weights: ``random``, or ``imagenet`` for the weights of :mod:`trainer.networks.pretrained`.
        consistency: weight of the consistency loss (:mod:`trainer.networks.consistency`); above 0, a batch holds half
            as many pictures, each as two views that are augmented separately.
        mirror: whether the served logits are the mean over the picture and its mirror image.
        published_seed: seed of the published 80/20 split.
    """

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid"}

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
        """Number of views of each picture in a batch."""
        return 2 if self.consistency else 1

    @property
    def train_preprocessing(self) -> Preprocessing:
        """Preprocessing of the tensors that training crops from: as served, but larger, with room for the jitter."""
        margin = self.preprocessing.face_margin
        if self.preprocessing.framing == "face" and margin is not None:
            max_margin = margin * (1 + self.face_jitter) + self.face_jitter  # widest square, shifted to either side
            side = max(self.cache_side, math.ceil(self.preprocessing.input_height * max_margin / margin))
            return replace(self.preprocessing, input_height=side, input_width=side, face_margin=max_margin)
        if self.augmentation != "reencode":
            return self.preprocessing
        side = max(self.cache_side, self.preprocessing.input_height)
        return replace(self.preprocessing, input_height=side, input_width=side)

    def settings(self) -> dict[str, Any]:
        """Return every field as JSON values, for ``config.json`` and the model's metadata."""
        return asdict(self)


def _square(side: int, resize_filter: ResizeFilter, fit: ResizeFit, framing: Framing) -> Preprocessing:
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
        RecipeError: no recipe has that name, or see :func:`changed_recipe`.
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
    """Return a recipe with the given fields replaced, except those that are None.

    Args:
        recipe: original recipe.
        resize_filter: filter that resizes pictures to the input size, in training and when served.
        framing: ``whole``, or ``face`` with a default margin of 0.8.
        face_margin: side of the square around a face, as a multiple of its box's longer side.
        overrides: fields of :class:`Recipe`.

    Raises:
        RecipeError: a margin is given without the framing ``face``.
    """
    preprocessing = recipe.preprocessing
    preprocessing = replace(
        preprocessing,
        resize_filter=resize_filter or preprocessing.resize_filter,
        framing=framing or preprocessing.framing,
    )
    if preprocessing.framing == "face":
        preprocessing = replace(
            preprocessing, face_margin=face_margin or preprocessing.face_margin or FACE_MARGIN, face_finder=FINDER
        )
    elif face_margin is not None:
        raise RecipeError(
            f"face margin {face_margin:g} needs the framing 'face', but recipe '{recipe.name}' has "
            f"'{preprocessing.framing}'"
        )
    return replace(
        recipe, preprocessing=preprocessing, **{key: value for key, value in overrides.items() if value is not None}
    )
