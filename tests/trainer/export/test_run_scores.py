"""Scores of a run: which part calibrates, and what the model file records."""

from dataclasses import replace

import onnx

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.run import Run
from trainer.data.splits import read_split
from trainer.export.run_scores import score
from trainer.recipes.run_config import read_run_config


def test_the_calibration_evidence_is_in_the_model(fitted):
    evidence = Engine.load(fitted / "model.onnx", EngineOptions("cpu")).spec.calibration
    assert {"ece_before", "ece_after", "threshold_real_interval", "threshold_fake_interval"} <= set(evidence)
    low, high = evidence["threshold_fake_interval"]
    assert 0.5 <= low <= high <= 1


def test_validation_part_calibrates_too_if_it_chose_no_epoch(fitted):
    config, parts = read_run_config(Run(fitted)), read_split(fitted / "split.csv")
    graph = onnx.load(fitted / "model.onnx")
    both = (*parts.validation, *parts.calibration)
    for select, used in (("val_loss", parts.calibration), ("val_accuracy", parts.calibration), ("last", both)):
        chosen = replace(config, recipe=replace(config.recipe, select=select))
        evidence = score(graph, chosen, parts).calibration.calibration
        counted = [sum(sample.label == label for sample in used) for label in ("real", "fake")]
        assert [evidence["real"], evidence["fake"]] == counted
