"""Questions: from what a person has and wants to a recipe, in words.

Each answer sets few settings, and each is written into the file with the reason beside it.
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
    """One way to answer.

    Attributes:
        words: what is shown.
        settings: of the recipe, by dotted name, each with why.
    """

    words: str
    settings: Settings


@dataclass(frozen=True, slots=True)
class Question:
    """One question, its answers, and which is meant where nothing is said (from 0)."""

    text: str
    answers: Sequence[Answer]
    default: int = 0


NETWORKS: Final = Question(
    "What matters most?",
    (
        Answer(
            "How well it holds on pictures that it has never seen (a GPU, or a night on a CPU)",
            {"recipe": ("efficientnet-lite", "begins with ImageNet weights; the face alone, and its mirror image")},
        ),
        Answer(
            "A small network that is soon trained (an hour or two on a CPU)",
            {"recipe": ("residual-cnn", "residual stages over RGB and high-pass channels")},
        ),
        Answer("To compare with MesoNet (2018)", {"recipe": ("meso-4", "Meso-4 as published, on the face")}),
        Answer(
            "To see what the student system with 99.6 % does",
            {"recipe": ("flatten-cnn-300", "as published; learns the collection more than the faces")},
        ),
    ),
)
FRAMING: Final = Question(
    "What are your pictures?",
    (
        Answer(
            "Whole photos, or faces cut out in different ways",
            {"preprocessing.framing": ("face", "the square around each face: how a picture was cut says nothing then")},
        ),
        Answer("Faces, all cut out alike, real and fake", {}),
    ),
)
HISTORY: Final = Question(
    "How will the pictures come that it is to judge?",
    (
        Answer("As they are, from cameras and archives", {}),
        Answer(
            "From messengers and social media: shrunk and compressed, more than once",
            {
                "reencoding.shrink": (0.45, "share that is shrunk and saved small, as messengers do"),
                "reencoding.recompress_again": (0.4, "share that is saved once more at the end"),
            },
        ),
    ),
)
NEITHER: Final = Question(
    "May drawings, avatars and comics be among them?",
    (
        Answer("As the recipe has it", {}),
        Answer("No: all of its training for photos", {"drawings": (0.0, "none are made")}),
        Answer(
            "Yes, and it should not be sure of them",
            {"drawings": (0.15, "share that is made into drawings, of which both answers are equally right")},
        ),
    ),
)
TIME: Final = Question(
    "How long may it take?",
    (
        Answer("As long as the recipe says", {}),
        Answer("About half as long", {"epochs": (0.5, "half of the recipe's")}),
        Answer(
            "A short try, to see that everything works",
            {"epochs": (2, "to see that everything works; of no use as a detector")},
        ),
    ),
)


def questions(network: str) -> list[Question]:
    """Return what is still to be asked once the network is known: what has no say with it is not."""
    recipe = RECIPES[network]
    asked = [FRAMING] if recipe.preprocessing.framing == "whole" and network == "residual-cnn" else []
    if recipe.augmentation == "reencode":
        asked += [HISTORY, NEITHER]
    return [*asked, TIME]


def recipe_file(network: str, chosen: Sequence[Answer]) -> str:
    """Return the TOML of a recipe, with a comment beside each setting.

    Args:
        network: name of the recipe to begin with.
        chosen: an answer to each of :func:`questions`.

    Raises:
        RecipeError: the answers do not go together.
    """
    settings = {"recipe": (network, _reason(network))}
    for answer in chosen:
        settings |= dict(answer.settings)
    if "epochs" in settings and isinstance(settings["epochs"][0], float):
        share, why = settings["epochs"]
        settings["epochs"] = max(1, round(RECIPES[network].epochs * share)), why
    settings = {name: said for name, said in settings.items() if name == "recipe" or said[0] != _stock(network, name)}
    document = tomlkit.document()
    document.add(tomlkit.comment("Written by `trainer new`; `trainer fit DATA --recipe THIS_FILE --out RUN` takes it."))
    document.add(tomlkit.comment("Any other setting of the recipe may be added; see RUN/config.json for all of them."))
    for name, (value, why) in settings.items():
        place: Any = document
        *groups, last = name.split(".")
        for group in groups:
            if group not in place:
                place.add(group, tomlkit.table())
            place = place[group]
        place.add(last, tomlkit.item(value).comment(why))
    text = tomlkit.dumps(document)
    recipe_of(tomlkit.parse(text).unwrap())  # it is what fit would read
    return text


def _stock(network: str, name: str) -> Any:
    value: Any = RECIPES[network].settings()
    for part in name.split("."):
        value = value[part]
    return value


def _reason(network: str) -> str:
    return next(answer.settings["recipe"][1] for answer in NETWORKS.answers if answer.settings["recipe"][0] == network)
