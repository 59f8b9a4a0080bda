"""The configuration of a run: read back as it was written, old runs included, and refused by key."""

import json
from dataclasses import replace

import pytest

from trainer.common.errors import TrainerError
from trainer.common.run import Run
from trainer.recipes.recipe import get_recipe
from trainer.recipes.run_config import DataFacts, FramingFacts, RunConfig, read_run_config, write_run_config


@pytest.fixture
def config() -> RunConfig:
    return RunConfig(
        recipe=get_recipe("residual-cnn"),
        seed=3,
        split="stratified",
        version="1",
        dataset=DataFacts("0" * 64, {"faces/real": 4, "faces/fake": 5, "others/real": 6}, ("faces",), 1),
        library_versions={"numpy": "2"},
        commit="unknown",
        groups="listed",
        holdout=("others",),
        faces=FramingFacts("yunet", 9, 8, 1.5),
    )


def test_config_written_and_read_is_equal(config, tmp_path):
    """Tuples, nested settings and optional fields survive JSON."""
    write_run_config(Run(tmp_path), config)
    assert read_run_config(Run(tmp_path)) == config
    assert "epochs" not in json.loads((tmp_path / "config.json").read_text())


def test_config_counts_leave_out_held_out_sources(config):
    """What is held out was not trained on."""
    assert config.trained_counts == {"faces/real": 4, "faces/fake": 5}
    assert config.dataset.by_source() == {"faces": 9, "others": 6}
    assert config.seed_of_split == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "three"}, "seed is 'three'"),
        ({"split": "thirds"}, "split is 'thirds'"),
        ({"seed": True}, "seed is True"),
        ({"recipe": {"name": "residual-cnn"}}, "recipe.preprocessing is missing"),
        ({"groups": "rubbish"}, "groups is 'rubbish'"),
        ({"dataset": {"fingerprint": "0"}}, "dataset.counts is missing"),
        ({"epochs": [1]}, "epochs is [1]"),
    ],
)
def test_malformed_config_is_refused_by_key_and_value(config, tmp_path, change, words):
    """The message names the file, the key and the value."""
    run = Run(tmp_path)
    write_run_config(run, config)
    run.config.write_text(json.dumps(json.loads(run.config.read_text()) | change))
    with pytest.raises(TrainerError) as refused:
        read_run_config(run)
    assert f"'{tmp_path}' is not a run folder: config.json: " in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize("path", [("recipe",), ("recipe", "reencoding"), ("recipe", "preprocessing")])
def test_unknown_recipe_setting_is_refused_by_key(config, tmp_path, path):
    """A setting that this version does not have could change the model, at any depth."""
    run = Run(tmp_path)
    write_run_config(run, config)
    values = json.loads(run.config.read_text())
    settings = values
    for key in path:
        settings = settings[key]
    settings["strange"] = 1
    run.config.write_text(json.dumps(values))
    with pytest.raises(TrainerError, match=rf"config\.json: {'.'.join(path)}\.strange is unknown$"):
        read_run_config(run)


def test_folder_that_is_not_utf8_is_kept(config, tmp_path):
    """File systems hold names of any bytes; they are written and read as Python represents them."""
    root = b"/data/caf\xe9".decode("utf-8", "surrogateescape")
    run = Run(tmp_path)
    write_run_config(run, replace(config, dataset=replace(config.dataset, roots=(root,))))
    written = run.config.read_text()
    assert json.loads(written)["dataset"]["roots"] == [root]
    assert read_run_config(run).dataset.roots == (root,)
    write_run_config(run, read_run_config(run))
    assert run.config.read_text() == written


def test_write_keeps_unknown_keys_and_refuses_wrong_types(config, tmp_path):
    """What another version has recorded is not lost, and a refused write leaves the file as it was."""
    run = Run(tmp_path)
    run.config.write_text('{"colour": "blue", "dataset": {"licence": "CC0"}}')
    write_run_config(run, config)
    written = run.config.read_text()
    assert json.loads(written)["colour"] == "blue"
    assert json.loads(written)["dataset"]["licence"] == "CC0"
    write_run_config(run, read_run_config(run))
    assert run.config.read_text() == written
    with pytest.raises(TrainerError, match="seed is 'three'"):
        write_run_config(run, replace(config, seed="three"))
    assert run.config.read_text() == written


def test_config_without_a_required_key_is_refused(config, tmp_path):
    """A folder with another config.json is no run."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainerError, match=r"config\.json has no recipe, seed"):
        read_run_config(Run(tmp_path))


def test_config_of_an_older_run_gets_defaults(config, tmp_path):
    """Settings that did not exist then are off, whatever the recipe of that name says today."""
    run = Run(tmp_path)
    write_run_config(run, replace(config, recipe=get_recipe("efficientnet-lite")))
    values = json.loads(run.config.read_text())
    later = ("mirror", "consistency", "drawings", "face_jitter", "initial_weights")
    for key in later:
        del values["recipe"][key]
    for key in ("outliers", "groups", "faces"):
        del values[key]
    run.config.write_text(json.dumps(values))
    old = read_run_config(run)
    assert [getattr(old.recipe, key) for key in later] == [False, 0.0, 0.0, 0.1, "random"]
    assert (old.outliers.counts, old.groups, old.faces) == ({}, None, None)
