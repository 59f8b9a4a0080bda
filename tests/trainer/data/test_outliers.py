"""Outliers: neither real nor fake, trained on as either, and never counted among the pictures."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.augment.drawings import inked
from trainer.common.errors import TrainerError
from trainer.common.run import Run
from trainer.data.dataset import scan
from trainer.data.outliers import scan_outliers
from trainer.data.splits import Split, run_split, write_split
from trainer.evaluation.assess import check_unseen, exclude_seen
from trainer.recipes.recipe import get_recipe
from trainer.recipes.run_config import read_run_config
from trainer.report.card import command
from trainer.training.pipeline import Batches, one_hot


@pytest.fixture
def drawings(astronaut, tmp_path) -> Path:
    root = tmp_path / "drawn"
    for number in range(10):
        path = root / ("", "deeper/real")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        inked(astronaut.crop((120 + number, 0, 320 + number, 200)), np.random.default_rng(number)).save(path)
    return root


def test_every_file_under_the_folder_is_an_outlier(drawings, faces):
    scanned = scan_outliers([drawings], get_recipe("residual-cnn"), scan([faces]))
    assert scanned.counts() == {"drawn/neither": 10}
    assert np.array_equal(one_hot(scanned.samples, ("real", "fake")), np.full((10, 2), 0.5))


def test_faceless_broken_or_known_outliers_are_left_out(drawings, faces):
    (drawings / "junk.png").write_bytes(b"junk")
    Image.new("RGB", (100, 100)).save(drawings / "black.png")
    (drawings / "twin.jpg").write_bytes((faces / "real" / "000.jpg").read_bytes())
    Image.open(faces / "fake" / "001.jpg").save(drawings / "resaved.jpg", quality=60)
    scanned = scan_outliers([drawings], get_recipe("residual-cnn", framing="face"), scan([faces]))
    assert len(scanned.samples) >= 5
    reasons = {rejected.path.name: rejected.reason for rejected in scanned.rejected}
    assert reasons["junk.png"].startswith("unsupported_format")
    assert reasons["black.png"].startswith("no_face")
    assert reasons["twin.jpg"].startswith("duplicate of")
    assert reasons["resaved.jpg"].startswith("duplicate of")


def test_neither_order_nor_names_have_a_say(drawings, faces, tmp_path):
    second_folder = tmp_path / "more"
    second_folder.mkdir()
    (drawings / "0.png").rename(second_folder / "a.png")
    recipe, data = get_recipe("residual-cnn"), scan([faces])
    first = scan_outliers([drawings, second_folder], recipe, data)
    (second_folder / "a.png").rename(second_folder / "z.png")
    (drawings / "2.png").rename(drawings / "x.png")
    again = scan_outliers([second_folder, drawings], recipe, data)
    assert [sample.sha256 for sample in first.samples] == [sample.sha256 for sample in again.samples]


def test_what_a_run_has_seen_as_an_outlier_is_not_new_to_it(drawings, faces, tmp_path):
    data = scan([faces])
    outliers = scan_outliers([drawings], get_recipe("residual-cnn"), data).samples
    write_split(tmp_path / "split.csv", data, Split("stratified", data.samples, (), (), (), (), outliers))
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "fake").mkdir(parents=True)
    Image.open(drawings / "0.png").save(elsewhere / "fake" / "again.jpg", quality=90)
    (elsewhere / "fake" / "copy.png").write_bytes((drawings / "2.png").read_bytes())
    Image.effect_noise((90, 90), 50).save(elsewhere / "fake" / "other.png")
    with pytest.raises(TrainerError, match="was trained or calibrated on pictures of elsewhere"):
        check_unseen(tmp_path / "split.csv", scan([elsewhere], one_class=True))
    left = exclude_seen(scan([elsewhere], one_class=True), [tmp_path / "split.csv"])
    assert [sample.path.name for sample in left.samples] == ["other.png"]


def test_nothing_left_is_an_error_and_so_is_no_folder(tmp_path, faces):
    (tmp_path / "empty").mkdir()
    for folder, message in (("empty", "no outliers are left of 0 files"), ("gone", "does not exist")):
        with pytest.raises(TrainerError, match=message):
            scan_outliers([tmp_path / folder], get_recipe("residual-cnn"), scan([faces]))
    assert scan_outliers([], get_recipe("residual-cnn"), scan([faces])).samples == ()


def test_fit_trains_on_outliers_and_resumes_only_with_the_same(faces, drawings, trainer, tmp_path, monkeypatch, capsys):
    shown = []
    batch = Batches.__getitem__
    monkeypatch.setattr(Batches, "__getitem__", lambda self, index: shown.append(made := batch(self, index)) or made)
    run = tmp_path / "run"
    options = ("--recipe", "residual-cnn", "--epochs", "1", "--batch-size", "8", "--out", run)
    assert trainer("fit", faces, *options, "--outliers", drawings) == 0
    assert "drawn/neither: 10 images" in capsys.readouterr().err
    config = json.loads((run / "config.json").read_text())
    assert config["outliers"]["counts"] == {"drawn/neither": 10}
    assert "drawn/neither" not in config["dataset"]["counts"]
    assert "--outliers drawn" in command(read_run_config(Run(run)))
    with (run / "split.csv").open(newline="") as stream:
        assert {row["part"] for row in csv.DictReader(stream) if row["source"] == "drawn"} == {"outlier"}
    assert len(run_split(Run(run)).outliers) == 10
    halves = np.concatenate([made[1] for made in shown])
    assert (halves == 0.5).all(axis=1).sum() >= 10
    weights = np.concatenate([made[2][(made[1] == 0.5).all(axis=1)] for made in shown if len(made) == 3])
    assert np.array_equal(weights, np.ones(len(weights)))
    (drawings / "0.png").unlink()
    (run / "checkpoints").mkdir()
    assert trainer("fit", faces, *options, "--outliers", drawings, "--resume") != 0
    assert "was started with other settings or data: outliers" in capsys.readouterr().err
