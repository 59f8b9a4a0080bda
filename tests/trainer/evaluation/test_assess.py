"""Reports and comparisons of model files."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from trainer.common.errors import TrainerError
from trainer.data.dataset import scan
from trainer.evaluation.assess import exclude_seen


@pytest.fixture(scope="module")
def other(make_model, make_spec, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "other.onnx"
    path.write_bytes(make_model(make_spec(name="tiny", version="2", threshold_fake=0.99)))
    return path


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
