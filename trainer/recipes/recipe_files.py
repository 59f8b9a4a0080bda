"""Recipe files: the name of a recipe and its changed settings, as TOML.

recipe = "residual-cnn"
epochs = 12

[reencoding]
shrink = 0.3
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from service.contract.bounded_read import read_bounded
from service.contract.image.image_errors import TooManyBytes
from trainer.recipes.overrides import overridden
from trainer.recipes.recipe import RECIPES, Recipe, RecipeError, get_recipe

SUFFIX: Final = ".toml"
_RECIPE_KEY: Final = "recipe"
_MAX_FILE_BYTES: Final = 64 * 1024


def named_recipe(name: str) -> Recipe:
    """Return a recipe by its name or by the path of its file.

    Raises:
        RecipeError: no recipe has that name, or see :func:`read_recipe`.
    """
    return read_recipe(Path(name)) if name.lower().endswith(SUFFIX) else get_recipe(name)


def read_recipe(path: Path) -> Recipe:
    """Return the recipe that a file describes.

    Raises:
        RecipeError: the file cannot be read or is not TOML, or a key or value is invalid; the message names the key.
    """
    try:
        return recipe_of(tomllib.loads(read_bounded(path, _MAX_FILE_BYTES).decode("utf-8")))
    except OSError as error:
        raise RecipeError(f"recipe file '{path}' cannot be read: {error.strerror}") from None
    except TooManyBytes as error:
        raise RecipeError(f"recipe file '{path}': {error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError(f"recipe file '{path}' is not TOML: {error}") from None
    except RecipeError as error:
        raise RecipeError(f"recipe file '{path}': {error}") from None


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """Return the recipe for the parsed values of a file.

    Raises:
        RecipeError: a key or value is invalid; the message names the key.
    """
    name = values.get(_RECIPE_KEY)
    if name is None:
        raise RecipeError(f"key '{_RECIPE_KEY}' is missing; it must be one of {', '.join(RECIPES)}")
    if not isinstance(name, str) or name not in RECIPES:
        raise RecipeError(f"key '{_RECIPE_KEY}' is {name!r}, not one of {', '.join(RECIPES)}")
    return overridden(
        RECIPES[name], list(_assignments({key: value for key, value in values.items() if key != _RECIPE_KEY}))
    )


def _assignments(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _assignments(value, f"{prefix}{key}.")
            continue
        try:
            yield f"{prefix}{key}={json.dumps(value, allow_nan=False)}"
        except (TypeError, ValueError):  # a date, or a number that is not finite
            raise RecipeError(
                f"setting '{prefix}{key}' cannot be {value}: dates, times, NaN and infinity are not allowed"
            ) from None
