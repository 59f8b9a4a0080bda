"""Overrides: settings of a recipe by name, for experiments; ``reencoding.shrink=0.3``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from trainer.recipes import Recipe, RecipeError


def overridden(recipe: Recipe, assignments: Sequence[str]) -> Recipe:
    """Return the recipe with settings replaced.

    Args:
        recipe: as it stands.
        assignments: ``NAME=VALUE``; a dot leads into a group, a value is JSON or a bare word.

    Raises:
        RecipeError: no ``=``, no such setting, or a value that the setting cannot have.
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
        return TypeAdapter(Recipe).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"setting '{name}' cannot be {first['input']!r}: {first['msg']}") from None


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
    if last not in place or isinstance(place[last], dict) or name == "name":
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
