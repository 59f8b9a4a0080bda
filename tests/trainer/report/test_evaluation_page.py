"""The page of an evaluation: one file, one model or several."""

import json
import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def second_model(make_model, make_spec, tmp_path_factory) -> Path:
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


def test_models_are_compared_side_by_side(trainer, model, second_model, shades, tmp_path, capsys):
    report = tmp_path / "report"
    assert trainer("compare", model, second_model, shades, "--report", report, "--robustness", "4") == 0
    printed = capsys.readouterr().out
    assert "tiny 1" in printed
    assert "tiny 2" in printed
    metrics = json.loads((report / "metrics.json").read_text())
    assert set(metrics) == {"tiny 1", "tiny 2"}
    assert metrics["tiny 1"]["pooled"]["roc_auc"] == metrics["tiny 2"]["pooled"]["roc_auc"]
    assert metrics["tiny 1"]["pooled"]["uncertain"] < metrics["tiny 2"]["pooled"]["uncertain"]
    assert "Side by side" in (report / "report.html").read_text()


def test_one_class_alone_still_gives_a_report(trainer, model, shades, tmp_path):
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "real").symlink_to(shades / "real")
    assert trainer("evaluate", model, tmp_path / "only", "--report", tmp_path / "r", "--robustness", "3") == 0
    assert "ROC AUC" in (tmp_path / "r" / "report.html").read_text()
