"""``trainer new``: asks, writes a recipe, says how to go on."""

import subprocess
import sys

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE
from trainer.recipes.recipe_files import read_recipe


def ask(typed: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trainer", "new", *map(str, arguments)]
    return subprocess.run(
        command, cwd=REPOSITORY, input=typed, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def test_new_asks_and_writes_and_says_how_to_go_on(faces, tmp_path):
    path = tmp_path / "mine.toml"
    ended = ask(f"'{faces}'\n2\n1\n2\n9\n3\n3\n", path)
    assert ended.returncode == 0, ended.stderr
    assert f"{faces}: 24 files in real/, 24 in fake/" in ended.stdout
    assert "9 is not a number from 1 to 3." in ended.stdout
    assert "The smaller class has only 24 pictures" in ended.stdout
    assert f"trainer fit {faces} --recipe {path} --out runs/mine" in ended.stdout
    recipe = read_recipe(path)
    assert (recipe.name, recipe.preprocessing.framing, recipe.epochs, recipe.drawings) == (
        "residual-cnn", "face", 2, 0.15,
    )  # fmt: skip
    again = ask("", path, "--defaults")
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_new_takes_the_first_answers_and_refuses_wrong_ones(faces, tmp_path):
    assert ask("", tmp_path / "a.toml", "--defaults", "--data", faces).returncode == 0
    assert read_recipe(tmp_path / "a.toml").name == "efficientnet-lite"
    for typed, arguments, said in (
        ("\n9\n", (tmp_path / "b.toml",), "Aborted"),
        ("nowhere\n", (tmp_path / "b.toml",), "'nowhere' does not exist"),
        (f"{tmp_path}\n", (tmp_path / "b.toml",), "holds no file in real/ or fake/"),
        ("", (tmp_path / "b.txt",), "does not end with .toml"),
    ):
        ended = ask(typed, *arguments)
        assert ended.returncode == 1
        assert said in " ".join((ended.stderr + ended.stdout).split())
        assert "Traceback" not in ended.stderr
        assert not arguments[0].exists()
