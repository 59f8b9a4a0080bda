"""Models of lower precision, calibrated and measured on their own."""

import json

from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.common.run import Run


def test_it_has_a_calibration_and_figures_of_its_own(run, precision):
    figures = json.loads(Run(run).metrics_at(precision).read_text())
    spec = Engine.load(Run(run).model_at(precision), EngineOptions("cpu")).spec
    assert spec.threshold_fake == figures["calibration"]["threshold_fake"]
    assert spec.metrics == figures["summary"]
    against = figures["against_float32"]
    assert against["float32_auc"] == json.loads((run / "metrics.json").read_text())["test"]["pooled"]["roc_auc"]
    assert against["speedup"] > 0
