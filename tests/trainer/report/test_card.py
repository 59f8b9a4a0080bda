"""The model card: the command that makes the model again."""

from dataclasses import replace

from trainer.common.run import Run
from trainer.recipes.run_config import read_run_config
from trainer.report.card import command


def test_command_names_every_setting_unlike_the_recipes(fitted):
    config = read_run_config(Run(fitted))
    framed = replace(config.recipe.preprocessing, framing="face", face_margin=1.1)
    recipe = replace(config.recipe, learning_rate=0.01, preprocessing=framed)
    config = replace(config, recipe=recipe, seed=7, holdout=("shades",))
    assert command(config).split("--recipe ")[1] == (
        "residual-cnn --set 'preprocessing.framing=face' --set 'preprocessing.face_margin=1.1' "
        "--set 'learning_rate=0.01' --set 'batch_size=16' --set 'epochs=2' "
        "--holdout-source shades --seed 7 --split-seed 42 --out RUN"
    )
    config = replace(config, split_seed=None)  # of a run from before there was one: its seed drew the split too
    assert command(config).endswith(" --seed 7 --out RUN")
    older = replace(config, recipe=replace(recipe, name="efficientnet-lite"))
    assert "--set 'drawings=0.0'" in command(older)
    assert "--set 'mirror=false'" in command(older)
