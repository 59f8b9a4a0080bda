"""Settings of a recipe by name: any of them, of its own type and range, and back again."""

import json

import pytest

from trainer.overrides import changed, overridden
from trainer.recipes import RECIPES, RecipeError, get_recipe


def test_settings_are_replaced_by_name_and_the_rest_stays():
    recipe = get_recipe("efficientnet-lite")
    found = overridden(
        recipe, ["reencoding.shrink=0.1", "initial_weights=random", "mirror=false", "preprocessing.input_height=96"]
    )
    assert (found.reencoding.shrink, found.initial_weights, found.mirror) == (0.1, "random", False)
    assert found.preprocessing.input_height == 96
    assert found.reencoding.sharpen == recipe.reencoding.sharpen
    assert found.class_names == ("real", "fake")
    assert overridden(recipe, []) is recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_made_of_its_own_settings_is_itself(name):
    recipe = RECIPES[name]
    assert overridden(recipe, [f"epochs={recipe.epochs}"]) == recipe
    assert changed(json.loads(json.dumps(recipe.settings())), recipe.settings()) == []


def test_what_was_changed_can_be_said_and_said_again():
    recipe = get_recipe("efficientnet-lite")
    said = ["preprocessing.face_margin=1.2", "reencoding.quality=[50, 90]", "balance=none", "consistency=0.5"]
    other = overridden(recipe, said)
    found = changed(json.loads(json.dumps(other.settings())), recipe.settings())
    assert sorted(found) == sorted(said)
    assert overridden(recipe, found) == other


def test_a_run_from_before_a_setting_has_not_changed_it():
    settings = json.loads(json.dumps(get_recipe("residual-cnn").settings()))
    del settings["mirror"], settings["reencoding"]["shrink"]
    assert changed(settings, RECIPES["residual-cnn"].settings()) == []


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("shrink", "'shrink' is not NAME=VALUE"),
        ("shrink=1", "no setting 'shrink', only "),
        ("name=flatten-cnn-300", "no setting 'name'"),
        ("reencoding=1", "no setting 'reencoding'"),
        ("augment.shrink=1", "its groups: preprocessing, reencoding"),
        ("reencoding.shrink=1.5", "'reencoding.shrink' cannot be 1.5: Input should be less than or equal to 1"),
        ("reencoding.shrink=often", "'reencoding.shrink' cannot be 'often'"),
        ("reencoding.quality=[0, 90]", "greater than or equal to 1"),
        ("balance=cue", "'balance' cannot be 'cue': Input should be 'none', 'source', 'cues' or 'subsample'"),
        ("epochs=0", "'epochs' cannot be 0"),
        ("learning_rate=0", "greater than 0"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(assignment, said):
    with pytest.raises(RecipeError, match=said.replace("[", r"\[")):
        overridden(get_recipe("efficientnet-lite"), [assignment])
