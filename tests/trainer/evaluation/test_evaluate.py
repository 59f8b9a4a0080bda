"""Evaluation: the protocol, the report, the comparison, and what they refuse."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.contract.faces.finder import face_finder
from service.contract.image.decode import DecodedImage
from service.contract.image.resize import to_tensor
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.errors import TrainerError
from trainer.data.dataset import scan
from trainer.evaluation.assess import exclude_seen
from trainer.evaluation.conditions import CONDITIONS, Condition, degrade
from trainer.evaluation.evaluate import calibrated
from trainer.evaluation.robustness import robustness, stratified_subset
from trainer.report import plots
from trainer.report.printing import print_robustness


@pytest.fixture(scope="module")
def shades(tmp_path_factory) -> Path:
    """Real pictures are dark and fake ones bright, as the tiny model has it; two of each are the other way round."""
    root, rng = tmp_path_factory.mktemp("data") / "shades", np.random.default_rng(0)
    for label, low, high in (("real", 20, 110), ("fake", 140, 230)):
        (root / label).mkdir(parents=True)
        for number in range(30):
            middle = rng.integers(low, high) if number > 1 else (250 if label == "real" else 10)
            pixels = rng.normal(middle, 10, (64, 80, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def model(make_model, make_spec, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.onnx"
    path.write_bytes(make_model(make_spec(name="tiny", version="1")))
    return path


@pytest.fixture(scope="module")
def other(make_model, make_spec, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "other.onnx"
    path.write_bytes(make_model(make_spec(name="tiny", version="2", threshold_fake=0.99)))
    return path


def test_tiers_shrink_and_compress_as_they_say(astronaut):
    by_name = {condition.name: condition for condition in CONDITIONS if condition.kind == "tier"}
    assert list(by_name) == ["clean", "web", "hard"]
    large = astronaut.resize((1000, 800))
    assert degrade(large, by_name["clean"]) is large
    assert degrade(large, by_name["web"]).size == (768, 614)
    assert degrade(large, by_name["hard"]).size == (512, 410)
    assert degrade(astronaut.crop((0, 0, 100, 100)), by_name["hard"]).size == (100, 100)


def test_the_grid_is_jpeg_by_scale(astronaut):
    grid = [condition for condition in CONDITIONS if condition.kind == "grid"]
    assert {(c.quality, c.scale) for c in grid} == {(q, s) for q in (50, 70, 90) for s in (0.5, 1.0, 2.0)}


@pytest.mark.parametrize("how", [{"scale": 0.5}, {"blur": 1.0}, {"noise": 5.0}, {"quality": 30}])
def test_each_step_does_something_the_same_each_time(astronaut, how):
    once, again = (degrade(astronaut, Condition("tier", "x", **how), seed=3) for _ in range(2))
    assert once.tobytes() == again.tobytes()
    assert once.tobytes() != astronaut.tobytes()


def test_a_tiny_picture_is_not_scaled_below_what_the_service_takes(astronaut):
    assert min(degrade(astronaut.crop((0, 0, 40, 60)), Condition("scale", "x", scale=0.25)).size) == 32


@pytest.mark.parametrize("size", [(6500, 6000), (33_000, 100)])
def test_a_large_picture_is_scaled_only_as_far_as_a_jpeg_and_memory_go(size):
    grown = degrade(Image.new("RGB", size), Condition("grid", "x", scale=2.0, quality=50))
    assert size[0] <= grown.width <= 65_000
    assert grown.width * grown.height <= 51_000_000


def test_robustness_of_untouched_pictures_is_what_the_engine_says(model, shades):
    engine, samples = Engine.load(model, EngineOptions("cpu")), stratified_subset(scan([shades]).samples, 10)
    found = robustness(engine, samples)
    assert found["images"] == len(samples) == 20
    clean = found["conditions"][0]
    tensors = np.stack(
        [
            to_tensor(DecodedImage("", *im.size, im), engine.spec.preprocessing)
            for s in samples
            for im in [Image.open(s.path)]
        ]
    )
    p_fake = calibrated(engine.logits(tensors), engine.spec)
    assert clean["uncertain"] == np.mean((p_fake > engine.spec.threshold_real) & (p_fake < engine.spec.threshold_fake))
    assert clean["flipped"] == 0
    # A mean colour survives compression and scaling.
    assert found["flips"]["rate"] < 0.1
    assert np.array(found["flips"]["grid"]).shape == (3, 3)


def test_where_a_face_is_too_small_to_be_judged_there_is_no_verdict_to_compare(astronaut, model, tmp_path, capsys):
    """At half size the face has 30 of the 48 pixels that the service wants."""
    root = tmp_path / "photos"
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
    scale = 60 / face_finder().find(astronaut)[0].side
    small = astronaut.resize((round(astronaut.width * scale), round(astronaut.height * scale)))
    small.save(root / "real" / "face.png")
    Image.new("RGB", (200, 200), (90, 120, 90)).save(root / "fake" / "meadow.png")
    engine, samples = Engine.load(model, EngineOptions("cpu")), scan([root]).samples
    found = robustness(engine, [sample for sample in samples if sample.path.name == "face.png"])["flips"]
    assert found["unjudged"] == pytest.approx(1 / 3)
    assert [row[0] for row in found["grid"]] == [None, None, None]
    assert np.isfinite([row[1:] for row in found["grid"]]).all()
    texts = [text.get_text() for text in plots.flips(found).axes[0].texts]
    assert (len(texts), texts.count("–")) == (9, 3)
    together = robustness(engine, samples)["flips"]
    assert together["unjudged"] == pytest.approx(1 / 6)
    assert np.isfinite(together["grid"]).all()
    print_robustness({"robustness": {"conditions": [], "flips": together}, "drawings": {"pictures": 2, "sure": 0.5}})
    said = capsys.readouterr().out
    assert "excluded, face too small for a verdict: 16.7 %; flip rate with these" in said
    assert "drawings of 2 pictures called real or fake: 50.0 %" in said


def test_a_report_is_one_page_that_needs_nothing_else(trainer, model, shades, tmp_path):
    report = tmp_path / "report"
    assert trainer("evaluate", model, shades, "--report", report, "--robustness", "5") == 0
    assert {path.name for path in report.iterdir()} == {"report.html", "metrics.json"}
    page = (report / "report.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)', page)
    assert [link for pair in links for link in pair if link and not link.startswith(("data:", "#"))] == []
    assert "<script" not in page
    assert "<h2>Drawings</h2>" in page
    assert page.count("<td>flat colours</td>") == 1
    assert page.count("<svg") == 6
    assert page.count("<figcaption>") >= 6 + 24
    metrics = json.loads((report / "metrics.json").read_text())
    pooled = metrics["pooled"]
    assert pooled["verdicts"][0][2] == 2  # the two bright reals
    low, high = pooled["intervals"]["real_called_fake"]
    assert low < pooled["real_called_fake"] < high
    assert {"roc_auc", "average_precision", "balanced_accuracy", "tpr_at_fpr_01", "tpr_at_fpr_005", "ece"} <= set(
        pooled
    )
    assert [row["name"] for row in metrics["robustness"]["conditions"][:3]] == ["clean", "web", "hard"]


def test_an_existing_report_is_refused_and_left_alone(trainer, model, shades, tmp_path, capsys):
    report = tmp_path / "report"
    report.mkdir()
    (report / "mine.txt").write_text("keep me")
    assert trainer("evaluate", model, shades, "--report", report) == 1
    assert "exists: name another, or remove it first" in capsys.readouterr().err.replace("\n", " ")
    assert [path.name for path in report.iterdir()] == ["mine.txt"]


def test_models_are_compared_side_by_side(trainer, model, other, shades, tmp_path, capsys):
    report = tmp_path / "report"
    assert trainer("compare", model, other, shades, "--report", report, "--robustness", "4") == 0
    printed = capsys.readouterr().out
    assert "tiny 1" in printed
    assert "tiny 2" in printed
    metrics = json.loads((report / "metrics.json").read_text())
    assert set(metrics) == {"tiny 1", "tiny 2"}
    assert metrics["tiny 1"]["pooled"]["roc_auc"] == metrics["tiny 2"]["pooled"]["roc_auc"]
    assert metrics["tiny 1"]["pooled"]["uncertain"] < metrics["tiny 2"]["pooled"]["uncertain"]
    assert "Side by side" in (report / "report.html").read_text()


def test_a_comparison_needs_two_models_and_data(trainer, model, shades, capsys):
    assert trainer("compare", model, shades) == 1
    assert "1 model files and 1 data folders" in capsys.readouterr().err
    assert trainer("compare", model, model, shades) == 1
    assert "is given twice" in capsys.readouterr().err.replace("\n", " ")


def test_a_model_with_other_classes_is_refused(trainer, make_model, make_spec, shades, tmp_path, capsys):
    path = tmp_path / "cats.onnx"
    path.write_bytes(make_model(make_spec(class_names=("cat", "dog"), fake_class="dog")))
    assert trainer("evaluate", path, shades) == 1
    assert "has the classes cat, dog (fake: dog), the data has real, fake" in capsys.readouterr().err.replace("\n", " ")


def test_pictures_that_a_run_has_seen_are_left_out(trainer, model, shades, tmp_path, capsys):
    samples = scan([shades]).samples
    lines = ["part,source,label,path,sha256,group,reason"]
    lines += [f"train,shades,{s.label},{s.path},{s.sha256},," for s in samples[:20]]
    lines += [f"validation,shades,{s.label},{s.path},{s.sha256},," for s in samples[20:25]]
    lines += [f"test,shades,{s.label},{s.path},{s.sha256},," for s in samples[25:]]
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    assert trainer("evaluate", model, shades, "--json", "--robustness", "0", "--unseen-by", tmp_path) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pooled"]["real"] + result["pooled"]["fake"] == len(samples) - 25
    assert result["robustness"] is None
    assert trainer("evaluate", model, shades, "--unseen-by", tmp_path / "absent") == 1


def test_a_near_duplicate_of_what_a_run_has_seen_is_left_out_too(astronaut, tmp_path):
    mine, seen = tmp_path / "mine" / "real", tmp_path / "seen.jpg"
    mine.mkdir(parents=True)
    face = astronaut.crop((100, 0, 356, 256))
    face.save(seen, quality=92)
    for name in ("small.jpg", "smaller.jpg"):
        face.resize((150, 150), Image.Resampling.BICUBIC).save(mine / name, quality=60 + len(name))
    astronaut.crop((200, 200, 456, 456)).save(mine / "other.jpg")
    (tmp_path / "split.csv").write_text(f"part,source,label,path,sha256,group,reason\ntrain,x,real,{seen},0,,\n")
    kept = exclude_seen(scan([tmp_path / "mine"], one_class=True), [tmp_path])
    assert [sample.path.name for sample in kept.samples] == ["other.jpg"]


def test_an_empty_split_leaves_nothing_out_and_says_so(shades, tmp_path):
    (tmp_path / "split.csv").write_text("part,source,label,path,sha256,group,reason\n")
    with pytest.raises(TrainerError, match="lists no pictures"):
        exclude_seen(scan([shades]), [tmp_path])


def test_one_class_alone_still_gives_a_report(trainer, model, shades, tmp_path):
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "real").symlink_to(shades / "real")
    assert trainer("evaluate", model, tmp_path / "only", "--report", tmp_path / "r", "--robustness", "3") == 0
    assert "ROC AUC" in (tmp_path / "r" / "report.html").read_text()
