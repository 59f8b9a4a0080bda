"""Recipe files: what differs from a recipe, and refusals by name."""

import re

import pytest

from trainer.recipes.recipe import RECIPES, RecipeError
from trainer.recipes.recipe_files import read_recipe


def test_a_file_says_only_what_is_otherwise(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('recipe = "residual-cnn"\nepochs = 3\nclass_names = ["fake", "real"]\n[reencoding]\nshrink = 0.3\n')
    recipe = read_recipe(path)
    stock = RECIPES["residual-cnn"]
    assert (recipe.epochs, recipe.reencoding.shrink, recipe.class_names) == (3, 0.3, ("fake", "real"))
    assert (recipe.learning_rate, recipe.reencoding.blur) == (stock.learning_rate, stock.reencoding.blur)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "key 'recipe' is missing"),
        ('recipe = "resnet"', "key 'recipe' is 'resnet', not one of flatten-cnn-300"),
        ("recipe = 3", "key 'recipe' is 3"),
        ('recipe = "residual-cnn"\nepoch = 3', "no setting 'epoch'"),
        ('recipe = "residual-cnn"\nepochs = "many"', "setting 'epochs' cannot be 'many'"),
        ('recipe = "residual-cnn"\nepochs = 0', "setting 'epochs' cannot be 0"),
        ('recipe = "residual-cnn"\n[reencoding]\nshrink = 2.0', "setting 'reencoding.shrink' cannot be 2.0"),
        ('recipe = "residual-cnn"\n[augment]\nshrink = 0.1', "no settings 'augment.shrink'"),
        ('recipe = "residual-cnn"\nreencoding = 3', "setting 'reencoding' is a group, with the settings whole, native"),
        ('recipe = "residual-cnn"\nlearning_rate = inf', "'learning_rate'"),
        ('recipe = "residual-cnn"\nepochs = 2026-11-27', "setting 'epochs' cannot be 2026-11-27"),
        ('recipe = "residual-cnn"\nepochs = 3\nepochs = 4', "is not TOML"),
        ("recipe = \nepochs = 3", "is not TOML: Invalid value (at line 1"),
        ("x" * 70_000, "over the limit of 65536"),
        ("a = " + "[" * 3000, "is not TOML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, trainer, faces, capsys, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=re.escape(said)):
        read_recipe(path)
    assert trainer("fit", faces, "--recipe", path, "--out", tmp_path / "run") == 1
    printed = capsys.readouterr().err
    assert said in " ".join(printed.split())
    assert f"recipe file '{path}'" in printed.replace("\n", "")
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="is not TOML"):
        read_recipe(tmp_path / "binary.toml")
