"""Recipes: the published ones exactly, and overrides of copies."""

import pytest

from trainer.recipes.recipe import RECIPES, RecipeError, get_recipe


@pytest.mark.parametrize(
    ("name", "optimizer", "rate", "loss", "batch", "epochs", "classes", "select"),
    [
        ("flatten-cnn-300", "adam", 1e-4, "categorical_crossentropy", 32, 10, ("fake", "real"), "last"),
        ("dilated-cnn-128", "adam", 1e-5, "binary_crossentropy", 32, 100, ("real", "fake"), "val_accuracy"),
    ],
)
def test_the_published_recipes_are_exact(name, optimizer, rate, loss, batch, epochs, classes, select):
    recipe = RECIPES[name]
    assert (recipe.optimizer, recipe.learning_rate, recipe.loss) == (optimizer, rate, loss)
    assert (recipe.batch_size, recipe.epochs, recipe.class_names, recipe.select) == (batch, epochs, classes, select)
    assert (recipe.augmentation, recipe.balance, recipe.cosine_decay) == ("none", "none", False)
    assert recipe.preprocessing.resize_filter == "nearest"
    assert recipe.preprocessing.resize_fit == "stretch"


def test_dilated_splits_with_its_published_seed():
    assert RECIPES["dilated-cnn-128"].published_seed == 5


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(RecipeError, match="'resnet' is not one of flatten-cnn-300, dilated-cnn-128, meso-4"):
        get_recipe("resnet")


def test_overrides_leave_the_recipe_itself_alone():
    assert get_recipe("residual-cnn", epochs=3, batch_size=None).epochs == 3
    assert RECIPES["residual-cnn"].epochs != 3
