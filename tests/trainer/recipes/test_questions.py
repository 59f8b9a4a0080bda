"""Questions: every way to answer gives a recipe."""

import pytest

from trainer.recipes.questions import NETWORKS, questions, recipe_file
from trainer.recipes.recipe import RECIPES
from trainer.recipes.recipe_files import read_recipe


@pytest.mark.parametrize("network", [str(answer.settings["recipe"][0]) for answer in NETWORKS.answers])
def test_every_way_to_answer_gives_a_recipe_that_fit_reads(network, tmp_path):
    asked = questions(network)
    for position in range(max(len(question.answers) for question in asked)):
        chosen = [question.answers[min(position, len(question.answers) - 1)] for question in asked]
        path = tmp_path / f"{position}.toml"
        path.write_text(recipe_file(network, chosen), "utf-8")
        recipe = read_recipe(path)
        assert recipe.name == network
        for answer in chosen:
            for name, (value, why) in answer.settings.items():
                current, stock = recipe.settings(), RECIPES[network].settings()
                for key in name.split("."):
                    current, stock = current[key], stock[key]
                if name != "epochs":
                    assert current == value
                assert (why in path.read_text("utf-8")) == (current != stock)
