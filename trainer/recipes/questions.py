"""Questions whose answers select a recipe and its settings.

Each answer changes a few settings, and each setting is written to the file with its reason as a comment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import tomlkit

from trainer.recipes.recipe import RECIPES
from trainer.recipes.recipe_files import recipe_of

Settings = Mapping[str, tuple[Any, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Possible answer to a question.

    Attributes:
        words: text that is shown.
        settings: settings of the recipe, by dotted name, each with its reason.
    """

    words: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Question:
    """Question, its answers, and the index of the default answer (from 0)."""

    text: str
    answers: Sequence[Answer]
    default: int = 0


NETWORKS: Final = Question(
    "What matters most?",
    (
        Answer(
            "Accuracy on pictures from new sources (needs a GPU, or a night on a CPU)",
            {"recipe": ("efficientnet-lite", "ImageNet weights; judges only the face, and its mirror image")},
        ),
        Answer(
            "A small network that trains quickly (one or two hours on a CPU)",
            {"recipe": ("residual-cnn", "residual stages over RGB and high-pass channels")},
        ),
        Answer("A comparison with MesoNet (2018)", {"recipe": ("meso-4", "Meso-4 as published, on the face")}),
        Answer(
            "A reproduction of the student system with 99.6 % accuracy",
            {"recipe": ("flatten-cnn-300", "as published; learns the data source more than the faces")},
        ),
    ),
)
FRAMING: Final = Question(
    "What do your pictures show?",
    (
        Answer(
            "Whole photos, or faces cropped in different ways",
            {
                "preprocessing.framing": (
                    "face",
                    "the square around each face, so that the original crop does not matter",
                )
            },
        ),
        Answer("Faces, all cropped the same way, real and fake", {}),
    ),
)
HISTORY: Final = Question(
    "Where will the pictures to judge come from?",
    (
        Answer("Unchanged, from cameras and archives", {}),
        Answer(
            "From messengers and social media: downscaled and compressed more than once",
            {
                "reencoding.shrink": (0.45, "share of pictures that are downscaled and saved, as messengers do"),
                "reencoding.recompress_again": (0.4, "share of pictures that are saved once more at the end"),
            },
        ),
    ),
)
NEITHER: Final = Question(
    "Can drawings, avatars and comics be among them?",
    (
        Answer("Keep the setting of the recipe", {}),
        Answer("No: train on photos only", {"drawings": (0.0, "no drawings")}),
        Answer(
            "Yes, and their verdict should be uncertain",
            {"drawings": (0.15, "share of pictures that are turned into drawings, labelled half real, half fake")},
        ),
    ),
)
TIME: Final = Question(
    "How long may training take?",
    (
        Answer("As many epochs as the recipe has", {}),
        Answer("About half as long", {"epochs": (0.5, "half of the recipe's epochs")}),
        Answer(
            "A short trial, to check that everything works",
            {"epochs": (2, "only to check that everything works; the model is not usable")},
        ),
    ),
)


def questions(network: str) -> list[Question]:
    """Return the remaining questions for a network, without those that do not affect it."""
    recipe = RECIPES[network]
    follow_ups = [FRAMING] if recipe.preprocessing.framing == "whole" and network == "residual-cnn" else []
    if recipe.augmentation == "reencode":
        follow_ups += [HISTORY, NEITHER]
    return [*follow_ups, TIME]


def recipe_file(network: str, chosen: Sequence[Answer]) -> str:
    """Return the TOML of a recipe, with a comment after each setting.

    Args:
        network: name of the base recipe.
        chosen: one answer to each of :func:`questions`.

    Raises:
        RecipeError: the answers contradict each other.
    """
    settings = {"recipe": (network, _reason(network))}
    for answer in chosen:
        settings |= dict(answer.settings)
    if "epochs" in settings and isinstance(settings["epochs"][0], float):
        share, reason = settings["epochs"]
        settings["epochs"] = max(1, round(RECIPES[network].epochs * share)), reason
    settings = {
        name: setting
        for name, setting in settings.items()
        if name == "recipe" or setting[0] != _default_value(network, name)
    }
    document = tomlkit.document()
    document.add(
        tomlkit.comment("Written by `trainer new`. Train with `trainer fit DATA --recipe THIS_FILE --out RUN`.")
    )
    document.add(tomlkit.comment("You can add any other setting of the recipe; RUN/config.json lists all of them."))
    for name, (value, reason) in settings.items():
        table: Any = document
        *groups, key = name.split(".")
        for group in groups:
            if group not in table:
                table.add(group, tomlkit.table())
            table = table[group]
        table.add(key, tomlkit.item(value).comment(reason))
    text = tomlkit.dumps(document)
    recipe_of(tomlkit.parse(text).unwrap())  # validate the file as fit would read it
    return text


def _default_value(network: str, name: str) -> Any:
    value: Any = RECIPES[network].settings()
    for key in name.split("."):
        value = value[key]
    return value


def _reason(network: str) -> str:
    return next(answer.settings["recipe"][1] for answer in NETWORKS.answers if answer.settings["recipe"][0] == network)
