"""Overrides of recipe settings by name, for experiments: ``reencoding.shrink=0.3``."""

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
        recipe: original recipe.
        assignments: ``NAME=VALUE``; dots separate groups and settings, a value is JSON or a bare word.

    Raises:
        RecipeError: no ``=``, an unknown setting, an invalid value, or settings that contradict each other.
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
        result = TypeAdapter(Recipe).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(key) for key in first["loc"])
        raise RecipeError(f"setting '{name}' cannot be {first['input']!r}: {first['msg']}") from None
    _refuse_margin(assignments, result.preprocessing)
    result = replace(result, preprocessing=_with_finder(result.preprocessing))
    for problem in _problems(result):
        raise RecipeError(problem)
    return result


def _with_finder(preprocessing: Preprocessing) -> Preprocessing:
    """Set margin and finder for the framing ``face``; clear them for any other framing."""
    if preprocessing.framing == "face":
        return replace(
            preprocessing,
            face_margin=FACE_MARGIN if preprocessing.face_margin is None else preprocessing.face_margin,
            face_finder=FINDER,
        )
    return replace(preprocessing, face_margin=None, face_finder="")


def _refuse_margin(assignments: Sequence[str], preprocessing: Preprocessing) -> None:
    margins = [assignment for assignment in assignments if assignment.startswith("preprocessing.face_margin=")]
    if margins and preprocessing.framing == "whole" and not margins[-1].endswith("=null"):
        raise RecipeError(f"setting '{margins[-1]}' needs the framing 'face'")


def _problems(recipe: Recipe) -> Iterator[str]:
    """Yield problems that a network or model file of this recipe would have, although each value is of a valid type."""
    preprocessing, reencoding = recipe.preprocessing, recipe.reencoding
    for name, value in asdict(preprocessing).items():
        try:
            check_field(name, value)
        except SpecError as error:
            yield f"setting 'preprocessing.{name}': {error.problem}"
    if set(recipe.class_names) != {"real", "fake"}:
        yield f"setting 'class_names' cannot be {list(recipe.class_names)}: it must be real and fake, in either order"
    if preprocessing.input_height != preprocessing.input_width:
        yield (
            f"settings 'preprocessing.input_height' and '.input_width' must be equal, because faces are cropped "
            f"square, not {preprocessing.input_height} and {preprocessing.input_width}"
        )
    for name, (low, high) in (("quality", reencoding.quality), ("zoom", reencoding.zoom)):
        if not 0 < low <= high:
            yield f"setting 'reencoding.{name}' cannot be [{low}, {high}]: use two numbers above 0, the smaller first"
    for name in ("learning_rate", "weight_decay", "consistency"):
        if not math.isfinite(getattr(recipe, name)):
            yield f"setting '{name}' cannot be {getattr(recipe, name)}: it must be finite"
    if recipe.consistency and recipe.batch_size < 2:
        yield f"setting 'consistency' needs a batch_size of at least 2, not {recipe.batch_size}"
    if recipe.initial_weights == "imagenet" and RECIPES[recipe.name].initial_weights != "imagenet":
        yield f"setting 'initial_weights' cannot be 'imagenet': recipe '{recipe.name}' has no ImageNet weights"


def changed(settings: Mapping[str, Any], base: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the assignments that turn base settings into the given settings, in order.

    Args:
        settings: settings as JSON values; missing settings count as unchanged.
        base: settings to compare with.
        prefix: prefix of every name.
    """
    assignments: list[str] = []
    for name, value in base.items():
        if isinstance(value, Mapping):
            assignments += changed(settings.get(name, value), value, f"{prefix}{name}.")
        elif name in settings and json.dumps(settings[name]) != json.dumps(value):
            assignments.append(
                f"{prefix}{name}={settings[name] if isinstance(settings[name], str) else json.dumps(settings[name])}"
            )
    return assignments


def _assign(settings: dict[str, Any], name: str, value: Any) -> None:
    *groups, last_key = name.split(".")
    table: Any = settings
    for group in groups:
        table = table.get(group)
        if not isinstance(table, dict):
            raise RecipeError(f"a recipe has no settings '{name}'; its groups: {', '.join(_groups(settings))}")
    if isinstance(table.get(last_key), dict):
        raise RecipeError(f"setting '{name}' is a group, with the settings {', '.join(table[last_key])}")
    if last_key not in table or name == "name":
        known = (key for key, item in table.items() if not isinstance(item, dict) and key != "name")
        raise RecipeError(f"a recipe has no setting '{name}', only {', '.join(known)}")
    table[last_key] = value


def _groups(settings: Mapping[str, Any]) -> list[str]:
    return [key for key, item in settings.items() if isinstance(item, dict)]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
