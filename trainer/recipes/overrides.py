"""Overrides: settings of a recipe by name, for experiments; ``reencoding.shrink=0.3``."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from service.contract.faces.face import FINDER
from service.contract.spec import Preprocessing, SpecError, check_field
from trainer.recipes.recipe import FACE_MARGIN, RECIPES, Recipe, RecipeError


def overridden(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return the recipe with settings replaced.

    Args:
        recipe: as it stands.
        assignments: ``NAME=VALUE``; a dot leads into a group, a value is JSON or a bare word.

    Raises:
        RecipeError: no ``=``, no such setting, a value that the setting cannot have, or that does not go with another.
    """
    if not assignments:
        return recipe
    settings = recipe.settings()
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise RecipeError(f"setting '{assignment}' is not NAME=VALUE")
        _assign(settings, name.strip(), _value(text.strip()))
    try:
        found = TypeAdapter(Recipe).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"setting '{name}' cannot be {first['input']!r}: {first['msg']}") from None
    _refuse_margin(assignments, found.preprocessing)
    found = replace(found, preprocessing=_with_finder(found.preprocessing))
    for problem in _problems(found):
        raise RecipeError(problem)
    return found


def _with_finder(how: Preprocessing) -> Preprocessing:
    """Margin and finder go with the framing ``face``, and only with it."""
    if how.framing == "face":
        return replace(how, face_margin=FACE_MARGIN if how.face_margin is None else how.face_margin, face_finder=FINDER)
    return replace(how, face_margin=None, face_finder="")


def _refuse_margin(assignments: Sequence[str], how: Preprocessing) -> None:
    margins = [assignment for assignment in assignments if assignment.startswith("preprocessing.face_margin=")]
    if margins and how.framing == "whole" and not margins[-1].endswith("=null"):
        raise RecipeError(f"setting '{margins[-1]}' needs the framing 'face'")


def _problems(recipe: Recipe) -> Iterator[str]:
    """Say what a network or a model file made by this recipe would stumble over, each value right by itself."""
    how, again = recipe.preprocessing, recipe.reencoding
    for name, value in asdict(how).items():
        try:
            check_field(name, value)
        except SpecError as error:
            yield f"setting 'preprocessing.{name}': {error.problem}"
    if set(recipe.class_names) != {"real", "fake"}:
        yield f"setting 'class_names' cannot be {list(recipe.class_names)}: real and fake, in either order"
    if how.input_height != how.input_width:
        yield (
            f"settings 'preprocessing.input_height' and '.input_width' must be equal, as faces are cut out square, "
            f"not {how.input_height} and {how.input_width}"
        )
    for name, (low, high) in (("quality", again.quality), ("zoom", again.zoom)):
        if not 0 < low <= high:
            yield f"setting 'reencoding.{name}' cannot be [{low}, {high}]: two numbers over 0, the smaller first"
    for name in ("learning_rate", "weight_decay", "consistency"):
        if not math.isfinite(getattr(recipe, name)):
            yield f"setting '{name}' cannot be {getattr(recipe, name)}: it must be finite"
    if recipe.consistency and recipe.batch_size < 2:
        yield f"setting 'consistency' shows each picture twice, and batch_size is {recipe.batch_size}"
    if recipe.initial_weights == "imagenet" and RECIPES[recipe.name].initial_weights != "imagenet":
        yield f"setting 'initial_weights' cannot be 'imagenet': there are none for recipe '{recipe.name}'"


def changed(mine: Mapping[str, Any], stock: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the assignments that make one recipe's settings of another's, in order.

    Args:
        mine: settings as JSON values; those that are missing count as unchanged.
        stock: settings to begin with.
        prefix: of every name.
    """
    found: list[str] = []
    for name, value in stock.items():
        if isinstance(value, Mapping):
            found += changed(mine.get(name, value), value, f"{prefix}{name}.")
        elif name in mine and json.dumps(mine[name]) != json.dumps(value):
            found.append(f"{prefix}{name}={mine[name] if isinstance(mine[name], str) else json.dumps(mine[name])}")
    return found


def _assign(settings: dict[str, Any], name: str, value: Any) -> None:
    *groups, last = name.split(".")
    place: Any = settings
    for group in groups:
        place = place.get(group)
        if not isinstance(place, dict):
            raise RecipeError(f"a recipe has no settings '{name}'; its groups: {', '.join(_groups(settings))}")
    if isinstance(place.get(last), dict):
        raise RecipeError(f"setting '{name}' is a group, with {', '.join(place[last])}")
    if last not in place or name == "name":
        known = (key for key, held in place.items() if not isinstance(held, dict) and key != "name")
        raise RecipeError(f"a recipe has no setting '{name}', only {', '.join(known)}")
    place[last] = value


def _groups(settings: Mapping[str, Any]) -> list[str]:
    return [key for key, held in settings.items() if isinstance(held, dict)]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
