"""Settings: environment and flags are twins, and every one is documented."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.errors import ERROR_CODES
from service.options import default_model
from service.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


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
def test_every_setting_stands_in_the_readme(name):
    assert f"`SERVICE_{name.upper()}`" in README


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_code_stands_in_the_readme_with_its_status(code):
    assert f"| `{code}` | {ERROR_CODES[code].status} |" in README


def test_the_default_model_is_there():
    assert default_model().is_file()
