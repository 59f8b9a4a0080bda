"""Questions: every way to answer gives a recipe."""

import pytest

from trainer.recipes.questions import NETWORKS, questions, recipe_file
from trainer.recipes.recipe import RECIPES
from trainer.recipes.recipe_files import read_recipe


@pytest.mark.parametrize("network", [str(answer.settings["recipe"][0]) for answer in NETWORKS.answers])
def test_every_way_to_answer_gives_a_recipe_that_fit_reads(network, tmp_path):
    asked = questions(network)
    for place in range(max(len(question.answers) for question in asked)):
        chosen = [question.answers[min(place, len(question.answers) - 1)] for question in asked]
        path = tmp_path / f"{place}.toml"
        path.write_text(recipe_file(network, chosen), "utf-8")
        recipe = read_recipe(path)
        assert recipe.name == network
        for answer in chosen:
            for name, (value, why) in answer.settings.items():
                found, stock = recipe.settings(), RECIPES[network].settings()
                for part in name.split("."):
                    found, stock = found[part], stock[part]
                if name != "epochs":
                    assert found == value
                assert (why in path.read_text("utf-8")) == (found != stock)
