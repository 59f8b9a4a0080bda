"""Settings: environment and flags are twins, and every one is documented."""

import re

import pytest
from pydantic import ValidationError

from service.settings import Settings
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
SETTINGS = (DOCS / "settings.md").read_text("utf-8")


def test_an_environment_variable_sets_its_field(monkeypatch):
    monkeypatch.setenv("SERVICE_MAX_PIXELS", "4096")
    assert Settings().max_pixels == 4096


def test_a_flag_wins_over_the_environment(monkeypatch):
    monkeypatch.setenv("SERVICE_PORT", "1")
    assert Settings(_cli_parse_args=["--port", "2"]).port == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70_000),
        ("provider", "tpu"),
        ("max_in_flight", 0),
        ("max_bytes", 1),
        ("body_timeout_s", 0),
        ("decode_threads", 0),
        ("log_level", "loud"),
        ("unknown", 1),
    ],
)
def test_a_value_out_of_range_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})


def test_every_setting_says_what_it_does():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented_with_flag_and_variable(name):
    assert f"| `SERVICE_{name.upper()}` | `--{name.replace('_', '-')}` | " in SETTINGS


def test_the_documents_name_no_setting_that_there_is_not():
    named = set()
    for path in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        named |= set(re.findall(r"`SERVICE_([A-Z0-9_]+[A-Z0-9])(?:=[^`]*)?`", path.read_text("utf-8")))
    assert named <= {name.upper() for name in Settings.model_fields}
