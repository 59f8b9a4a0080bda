"""Options of ``service score``: documented, and refused in one line."""

import pytest

from service.model_settings import ModelSettings
from service.offline.score_options import ScoreOptions
from tests.conftest import REPOSITORY
from tests.service.offline.scoring import run

DOCS = REPOSITORY / "docs"


SCORING = (DOCS / "scoring.md").read_text("utf-8")


@pytest.mark.parametrize("name", ScoreOptions.model_fields)
def test_every_option_of_score_is_documented(name):
    if name in ModelSettings.model_fields:
        assert f"`--{name.replace('_', '-')}`" in SCORING
    else:
        assert f"| `{'PATHS' if name == 'paths' else '--' + name.replace('_', '-')}` | " in SCORING


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent", "--output", "x.csv"], "'absent' does not exist"),
        (["a" * 300, "--output", "x.csv"], f"'{'a' * 300}' cannot be accessed: File name too long"),
        (["README.md", "--output", "x" * 250 + ".csv"], "cannot write "),
        (
            ["README.md", "--output", "x.txt"],
            "setting --output (SERVICE_OUTPUT): does not end with .jsonl",
        ),
        (["README.md", "--output", "absent/x.csv"], "the folder 'absent' for the output 'x.csv' does not exist"),
        (["README.md"], "setting --output (SERVICE_OUTPUT): is missing"),
        (
            ["README.md", "--output", "x.csv", "--threads", "0"],
            "setting --threads (SERVICE_THREADS): Input should be gre",
        ),
        (["README.md", "--output", "x.csv", "--model", "absent.onnx"], "model file 'absent.onnx' cannot be read"),
        (
            ["README.md", "--output", "x.csv", "--resume", "--overwrite"],
            "setting --overwrite (SERVICE_OVERWRITE): cannot be",
        ),
        (["README.md", "--output", "x.csv", "--ray-address", "a:1"], "setting --ray-address (SERVICE_RAY_ADDRESS): ne"),
        (
            ["README.md", "--output", "x.csv", "--engine", "ray", "--ray-address", "nonsense"],
            "setting --ray-address: 'n",
        ),
        (
            ["README.md", "--output", "x.csv", "--engine", "ray", "--ray-address", "ray://a:1"],
            "setting --ray-address: ",
        ),
    ],
)
def test_what_cannot_begin_is_one_line_and_leaves_nothing(arguments, words):
    said = run(*arguments, status=2)
    assert said.startswith(f"service: {words}")
    assert len(said.splitlines()) == 1
    assert not list(REPOSITORY.glob("x.*"))
