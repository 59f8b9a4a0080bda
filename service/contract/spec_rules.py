"""Validation rules for the fields of a spec: a rule takes a value and returns the problem, or None."""

import re
from collections.abc import Callable
from typing import Any, get_args

MAX_INPUT_SIDE = 4096
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Rule = Callable[[Any], str | None]


def name(value: Any) -> str | None:
    """Require a name of 1 to 64 characters that are safe in a path and a metric label."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return None
    return f"{value!r} is not 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"


def text(value: Any) -> str | None:
    """Require a string that is not blank."""
    return None if isinstance(value, str) and value.strip() else f"{value!r} is not a non-empty string"


def one_of(choices: Any) -> Rule:
    """Return the rule that requires a member of a ``Literal``."""
    allowed = get_args(choices)

    def rule(value: Any) -> str | None:
        """Return what is wrong with a value; None if it is allowed."""
        return None if value in allowed else f"{value!r} is not one of {', '.join(allowed)}"

    return rule


def number(low: float, high: float) -> Rule:
    """Return the rule that requires a finite number in a closed range."""

    def rule(value: Any) -> str | None:
        """Return what is wrong with a value; None if it is allowed."""
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return None
        return f"{str(value)[:80]} is not a number from {low:g} to {high:g}"

    return rule


def or_none(rule: Rule) -> Rule:
    """Return a rule that also allows None."""
    return lambda value: None if value is None else rule(value)


def or_empty(rule: Rule) -> Rule:
    """Return a rule that also allows the empty string."""
    return lambda value: None if value == "" else rule(value)


def side(value: Any) -> str | None:
    """Require an input height or width, pixels."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_INPUT_SIDE:
        return None
    return f"{value!r} is not a whole number of pixels from 1 to {MAX_INPUT_SIDE}"


def two_names(value: Any) -> str | None:
    """Require two different names, in output order."""
    if not isinstance(value, tuple) or len(value) != 2 or len(set(map(str, value))) != 2:
        return f"{value!r} is not two different class names"
    return name(value[0]) or name(value[1])


def sha256(value: Any) -> str | None:
    """Require a SHA-256 as 64 lower-case hexadecimal digits."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
        return None
    return f"{value!r} is not 64 lower-case hexadecimal digits"


def counts(value: Any) -> str | None:
    """Require a mapping of strings to whole numbers from 0."""
    if isinstance(value, dict) and all(
        isinstance(key, str) and isinstance(count, int) and count >= 0 for key, count in value.items()
    ):
        return None
    return f"{value!r} is not a mapping of strings to whole numbers from 0"


def mapping(value: Any) -> str | None:
    """Require a mapping with string keys."""
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return None
    return f"{value!r} is not a mapping with string keys"


def text_map(value: Any) -> str | None:
    """Require a mapping of strings to strings."""
    return mapping(value) or next(
        (f"{key!r}: {text!r} is not a string" for key, text in value.items() if not isinstance(text, str)), None
    )
