"""Framing: recipes that train on a square around each face see what will be served, jittered."""

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.contract.faces.face import FINDER, Face
from service.contract.faces.finder import face_finder
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.augment.reencode import Jitter, make_augment
from trainer.common.run import Run
from trainer.data.dataset import Dataset, scan
from trainer.data.face_framing import faces_in_tensors, framing_facts, with_faces
from trainer.data.splits import Split
from trainer.data.tensors import cache_tensors, load_tensor
from trainer.evaluation.robustness import robustness
from trainer.export.export import _preprocessing
from trainer.recipes.recipe import RECIPES, RecipeError, Reencoding, get_recipe
from trainer.recipes.run_config import FramingFacts
from trainer.training import pipeline
from trainer.training.distribute import Shard
from trainer.training.fit_options import FitOptions


def test_every_recipe_states_its_framing():
    assert {name: recipe.preprocessing.framing for name, recipe in RECIPES.items()} == {
        "flatten-cnn-300": "whole",
        "dilated-cnn-128": "whole",
        "meso-4": "face",
        "residual-cnn": "whole",
        "efficientnet-lite": "face",
    }
    how = get_recipe("residual-cnn", framing="face").preprocessing
    assert (how.framing, how.face_margin, how.face_finder) == ("face", 0.8, FINDER)
    assert get_recipe("residual-cnn", framing="face", face_margin=1.4).preprocessing.face_margin == 1.4


def test_a_margin_without_a_face_is_refused():
    with pytest.raises(RecipeError, match=r"face margin 1.4 needs the framing 'face'"):
        get_recipe("residual-cnn", face_margin=1.4)


@pytest.mark.parametrize(("name", "side"), [("residual-cnn", 256), ("flatten-cnn-300", 368)])
def test_training_tensors_leave_room_for_the_jitter(name, side):
    recipe = get_recipe(name, framing="face")
    assert recipe.train_preprocessing.input_width == side
    assert recipe.train_preprocessing.face_margin == pytest.approx(0.98)


def test_a_tensor_is_the_square_around_the_largest_face(photos):
    how = get_recipe("residual-cnn", framing="face", face_margin=1.3).preprocessing
    path = photos / "real" / "0.png"
    picture = Image.open(path)
    (face,) = face_finder().find(picture)
    box = face.region(1.3).inside(*picture.size).box
    expected = picture.resize((128, 128), Image.Resampling.BICUBIC, box=box)
    assert np.array_equal(load_tensor(path, how), np.asarray(expected))


def test_faces_are_searched_once_per_picture(photos, tmp_path, monkeypatch):
    recipe = get_recipe("residual-cnn", framing="face")
    samples = scan([photos]).samples
    expected = [load_tensor(sample.path, recipe.preprocessing) for sample in samples]
    monkeypatch.setattr("service.contract.faces.finder.FaceFinder.find", lambda *_: 1 / 0)
    assert np.array_equal(cache_tensors(samples, recipe.preprocessing, tmp_path, "served"), expected)
    assert len(cache_tensors(samples, recipe.train_preprocessing, tmp_path, "larger")) == len(samples)


def test_a_tensor_without_a_face_is_the_whole_picture(photos):
    whole, face = (get_recipe("residual-cnn", framing=framing).preprocessing for framing in ("whole", "face"))
    path = photos / "real" / "meadow.png"
    assert np.array_equal(load_tensor(path, face), load_tensor(path, whole))


def test_pictures_without_a_needed_face_are_left_out_by_name(photos):
    dataset = scan([photos])
    assert with_faces(dataset, get_recipe("residual-cnn")) is dataset
    kept = with_faces(dataset, get_recipe("residual-cnn", framing="face"))
    assert len(kept.samples) == 4
    (gone,) = kept.rejected
    assert gone.path.name == "meadow.png"
    assert gone.reason.startswith("no_face: ")


def test_the_face_is_where_the_cached_tensor_has_it(photos):
    recipe = get_recipe("residual-cnn", framing="face", face_margin=1.5)
    samples = with_faces(scan([photos]), recipe).samples
    for sample, face in zip(samples, faces_in_tensors(samples, recipe.train_preprocessing), strict=True):
        tensor = load_tensor(sample.path, recipe.train_preprocessing)
        (again,) = face_finder().find(Image.fromarray(tensor))
        for name in ("left", "top", "width", "height"):
            assert getattr(face, name) == pytest.approx(getattr(again, name), abs=18)
    assert faces_in_tensors(samples, get_recipe("residual-cnn").train_preprocessing) is None


def test_a_face_at_the_border_is_where_the_cached_tensor_has_it(astronaut, tmp_path):
    (tmp_path / "real").mkdir()
    astronaut.crop((150, 40, 400, 290)).save(tmp_path / "real" / "0.png")
    recipe = get_recipe("residual-cnn", framing="face", face_margin=2.0)
    samples = scan([tmp_path], one_class=True).samples
    (face,) = faces_in_tensors(samples, recipe.train_preprocessing)
    (again,) = face_finder().find(Image.fromarray(load_tensor(samples[0].path, recipe.train_preprocessing)))
    assert (face.left, face.top) == pytest.approx((again.left, again.top), abs=10)


def test_a_fit_gives_its_batches_the_faces(photos, tmp_path, monkeypatch):
    recipe = get_recipe("residual-cnn", framing="face")
    samples = with_faces(scan([photos]), recipe).samples
    made = []
    monkeypatch.setattr(pipeline, "Batches", lambda pictures, *_: made.append(pictures))
    monkeypatch.setattr(pipeline, "weigh", lambda *_: (None, {}))
    options = FitOptions([photos], recipe, Run(tmp_path / "run"), seed=0, split_rule="stratified")
    parts = Split("stratified", samples, (), (), ())
    pipeline.training_batches(options, parts, tmp_path / "cache", 0, Shard())
    (pictures,) = made
    assert pictures.faces == faces_in_tensors(samples, recipe.train_preprocessing)
    assert pictures.larger.shape[1] == 256
    assert pictures.augment is not None


def test_robustness_of_a_model_of_faces_looks_at_faces(photos, make_model, make_spec, monkeypatch):
    engine = Engine.from_bytes(
        make_model(make_spec(framing="face", face_margin=1.0, face_finder=FINDER)), EngineOptions("cpu", 1)
    )
    shown = []
    good = Engine.logits
    monkeypatch.setattr(Engine, "logits", lambda self, images: shown.append(images) or good(self, images))
    (sample,) = [s for s in scan([photos]).samples if s.path.name == "0.png"]
    robustness(engine, [sample])
    assert np.array_equal(shown[0][0], load_tensor(sample.path, engine.spec.preprocessing))


def test_a_margin_that_no_model_can_state_is_left_out():
    options = FitOptions([], get_recipe("residual-cnn"), Run(Path()), seed=0, split_rule="stratified")
    for margin, with_face, kept in ((1.4, 60, 1.4), (12.4, 60, None), (1.4, 3, None), (None, 0, None)):
        config = replace(options.config(Dataset(()), Dataset(())), faces=FramingFacts(FINDER, 100, with_face, margin))
        preprocessing = _preprocessing(config)
        assert (preprocessing.face_margin, preprocessing.face_finder) == (kept, FINDER if kept else "")


@pytest.mark.parametrize("name", ["FRAMING_VERSION", "yunet.SHA256"])
def test_cache_key_of_the_framing_voids_faces_only(photos, tmp_path, monkeypatch, name):
    samples = scan([photos]).samples
    for framing in ("face", "whole"):
        cache_tensors(samples, get_recipe("residual-cnn", framing=framing).preprocessing, tmp_path, "test")
    monkeypatch.setattr(f"trainer.data.tensors.{name}", "1000")
    for framing, files in (("whole", 2), ("face", 3)):
        cache_tensors(samples, get_recipe("residual-cnn", framing=framing).preprocessing, tmp_path, "test")
        assert len(list(tmp_path.glob("*.npy"))) == files


@pytest.fixture
def marked() -> tuple[np.ndarray, Face]:
    """A tensor whose pixels say where they come from, and a face in its middle."""
    rows, columns = np.mgrid[0:240, 0:240].astype(np.uint8)
    return np.stack((rows, columns, rows), axis=2), Face(70, 70, 100, 100, 0.9)


def test_jitter_varies_margin_and_middle_within_its_bounds(marked):
    tensor, face = marked
    recipe = get_recipe("residual-cnn", framing="face", face_margin=1.4)
    drawn = [np.asarray(Jitter(recipe)(tensor, np.random.default_rng(seed), face), dtype=float) for seed in range(200)]
    sides = np.array([(p[-1, 0, 0] - p[0, 0, 0]) * 128 / 127 for p in drawn])
    middles = np.array([(p[-1, -1, :2] + p[0, 0, :2]) / 2 for p in drawn])
    assert 140 * 0.9 - 2 <= sides.min() < 140 * 0.92
    assert 140 * 1.08 < sides.max() <= 140 * 1.1 + 2
    assert np.abs(middles - 119.5).max() <= 5 + 1
    assert np.abs(middles - 119.5).max() > 3.5


def test_reencode_jitters_instead_of_zooming(marked):
    """Without any other step, no crop is wider than the jitter allows; a zoomed one would be."""
    tensor, face = marked
    none = {item.name: 0.0 for item in fields(Reencoding) if item.name not in ("zoom", "quality")}
    augment = make_augment(replace(get_recipe("residual-cnn", framing="face"), reencoding=Reencoding(**none)))
    served = np.zeros((128, 128, 3), np.uint8)
    drawn = [augment(tensor, served, np.random.default_rng(seed), face).astype(float) for seed in range(60)]
    sides = np.array([(p[-1, 0, 0] - p[0, 0, 0]) * 128 / 127 for p in drawn])
    assert 80 * 0.9 - 2 <= sides.min() <= sides.max() <= 80 * 1.1 + 2


@pytest.mark.parametrize("augmentation", ["none", "classic", "reencode"])
def test_every_augmentation_jitters_where_the_framing_is_face(marked, augmentation):
    tensor, face = marked
    augment = make_augment(get_recipe("residual-cnn", framing="face", augmentation=augmentation))
    served = np.zeros((128, 128, 3), np.uint8)
    made = [augment(tensor, served, np.random.default_rng(seed), face) for seed in (1, 1, 2, 3, 4)]
    assert all(picture.shape == (128, 128, 3) for picture in made)
    assert np.array_equal(made[0], made[1])
    assert len({picture.tobytes() for picture in made}) >= 4
    if augmentation == "none":
        assert np.array_equal(augment(tensor, served, np.random.default_rng(1), None), served)


def test_a_run_records_how_its_pictures_were_framed(photos):
    facts = framing_facts(scan([photos]).samples)
    assert (facts.finder, facts.pictures, facts.with_face) == (FINDER, 5, 4)
    assert 4 < facts.median_margin < 9


def test_a_class_in_which_no_face_is_found_is_one_clear_line(trainer, faces, tmp_path, capsys):
    """The grid that the made fakes carry hides the face from the finder."""
    assert trainer("fit", faces, "--recipe", "residual-cnn", "--framing", "face", "--out", tmp_path / "run") == 1
    assert "no fake picture shows a face, and the framing is 'face'" in capsys.readouterr().err


def test_a_fit_on_faces_says_so_in_its_model_and_is_served_so(trainer, faces, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(faces, tmp_path / "faces")
    for path in sorted((tmp_path / "faces" / "fake").iterdir()):
        pixels = np.array(Image.open(tmp_path / "faces" / "real" / path.name))
        Image.fromarray(pixels // 2 + 60).save(path, quality=92)
    Image.new("RGB", (300, 300), (90, 120, 90)).save(tmp_path / "faces" / "real" / "meadow.png")
    arguments = ("--recipe", "residual-cnn", "--framing", "face", "--epochs", "1", "--out", run)
    assert trainer("fit", tmp_path / "faces", *arguments) == 0
    assert "no_face: the face finder sees none" in capsys.readouterr().err
    spec = Engine.load(run / "model.onnx", EngineOptions("cpu")).spec
    assert (spec.framing, spec.face_margin, spec.face_finder) == ("face", 0.8, FINDER)
    assert json.loads((run / "audit.json").read_text())["left_out"]["counts"]["no face"] >= 1
    assert trainer("predict", run / "model.onnx", tmp_path / "faces" / "real" / "000.jpg", "--faces", "off") == 1
    assert "'framing': 'face' needs the face finder" in capsys.readouterr().err


def test_an_audit_of_a_class_without_a_face_still_reports(trainer, faces, tmp_path, capsys):
    arguments = ("--recipe", "residual-cnn", "--framing", "face", "--report", tmp_path / "audit")
    assert trainer("audit", faces, *arguments) == 0
    assert "- no fake picture shows a face" in capsys.readouterr().out
    assert (tmp_path / "audit" / "audit.html").is_file()


def test_an_audit_of_a_framing_needs_a_recipe(trainer, faces, capsys):
    assert trainer("audit", faces, "--framing", "face") == 1
    assert "name the recipe with --recipe" in capsys.readouterr().err
