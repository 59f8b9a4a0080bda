"""Settings of a recipe by name: any of them, of its own type and range, and back again."""

import json
import re

import pytest

from service.contract.faces.face import FINDER
from trainer.recipes.overrides import changed, overridden
from trainer.recipes.recipe import FACE_MARGIN, RECIPES, RecipeError, get_recipe


def test_settings_are_replaced_by_name_and_the_rest_stays():
    recipe = get_recipe("efficientnet-lite")
    sides = ["preprocessing.input_height=96", "preprocessing.input_width=96"]
    result = overridden(recipe, ["reencoding.shrink=0.1", "initial_weights=random", "mirror=false", *sides])
    assert (result.reencoding.shrink, result.initial_weights, result.mirror) == (0.1, "random", False)
    assert result.preprocessing.input_height == 96
    assert result.reencoding.sharpen == recipe.reencoding.sharpen
    assert result.class_names == ("real", "fake")
    assert overridden(recipe, []) is recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_made_of_its_own_settings_is_itself(name):
    recipe = RECIPES[name]
    assert overridden(recipe, [f"epochs={recipe.epochs}"]) == recipe
    assert changed(json.loads(json.dumps(recipe.settings())), recipe.settings()) == []


def test_what_was_changed_can_be_said_and_said_again():
    recipe = get_recipe("efficientnet-lite")
    said = ["preprocessing.face_margin=1.2", "reencoding.quality=[50, 90]", "balance=none", "consistency=0.5"]
    changed_recipe = overridden(recipe, said)
    result = changed(json.loads(json.dumps(changed_recipe.settings())), recipe.settings())
    assert sorted(result) == sorted(said)
    assert overridden(recipe, result) == changed_recipe


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
        ("reencoding=1", "setting 'reencoding' is a group"),
        ("augment.shrink=1", "its groups: preprocessing, reencoding"),
        ("reencoding.shrink=1.5", "'reencoding.shrink' cannot be 1.5: Input should be less than or equal to 1"),
        ("reencoding.shrink=often", "'reencoding.shrink' cannot be 'often'"),
        ("reencoding.quality=[0, 90]", "greater than or equal to 1"),
        ("balance=cue", "'balance' cannot be 'cue': Input should be 'none', 'source', 'cues' or 'subsample'"),
        ("epochs=0", "'epochs' cannot be 0"),
        ("learning_rate=0", "greater than 0"),
        ("learning_rate=Infinity", "'learning_rate' cannot be inf: it must be finite"),
        (
            "reencoding.quality=[90, 30]",
            "'reencoding.quality' cannot be [90, 30]: use two numbers above 0, the smaller",
        ),
        ("reencoding.zoom=[0, 1]", "'reencoding.zoom' cannot be [0.0, 1.0]"),
        ("preprocessing.input_height=96", "must be equal, because faces are cropped square, not 96 and 160"),
        ("preprocessing.input_height=-3", "'preprocessing.input_height': -3 is not a whole number of pixels"),
        ("preprocessing.face_margin=99", "'preprocessing.face_margin': 99"),
        ('class_names=["a", "b"]', "'class_names' cannot be"),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(assignment, said):
    with pytest.raises(RecipeError, match=re.escape(said)):
        overridden(get_recipe("efficientnet-lite"), [assignment])


@pytest.mark.parametrize(
    ("recipe", "assignments", "said"),
    [
        ("efficientnet-lite", ["consistency=1", "batch_size=1"], "needs a batch_size of at least 2, not 1"),
        ("flatten-cnn-300", ["preprocessing.input_height=200"], "must be equal, because faces are cropped square"),
        ("residual-cnn", ["preprocessing.face_margin=0.9"], "'preprocessing.face_margin=0.9' needs the framing 'face'"),
        ("residual-cnn", ["initial_weights=imagenet"], "recipe 'residual-cnn' has no ImageNet weights"),
        ("flatten-cnn-300", ["initial_weights=imagenet"], "recipe 'flatten-cnn-300' has no ImageNet weights"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(recipe, assignments, said):
    with pytest.raises(RecipeError, match=said):
        overridden(get_recipe(recipe), assignments)


def test_margin_and_finder_follow_the_framing():
    face = overridden(get_recipe("residual-cnn"), ["preprocessing.framing=face"]).preprocessing
    assert (face.face_margin, face.face_finder) == (FACE_MARGIN, FINDER)
    changed_recipe = overridden(get_recipe("efficientnet-lite"), ["preprocessing.face_finder=abc"]).preprocessing
    assert changed_recipe.face_finder == FINDER
    whole = overridden(get_recipe("efficientnet-lite"), ["preprocessing.framing=whole"]).preprocessing
    assert (whole.face_margin, whole.face_finder) == (None, "")
