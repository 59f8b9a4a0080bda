"""Report of an evaluation or a comparison: HTML page, JSON file, tables for a terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from trainer.common.files import write_json
from trainer.evaluation.assess import Assessment
from trainer.report import plots
from trainer.report.html import figure3, percent, svg, thumbnails, write_page

_MAX_WORST: Final = 12
# Key of a metric: its heading, and the function that formats its value.
COLUMNS: Final[dict[str, tuple[str, Any]]] = {
    "roc_auc": ("ROC AUC", figure3),
    "average_precision": ("average precision", figure3),
    "balanced_accuracy": ("balanced accuracy", figure3),
    "tpr_at_fpr_01": ("TPR at 1 % FPR", percent),
    "tpr_at_fpr_005": ("TPR at 0.5 % FPR", percent),
    "real_called_fake": ("real called fake", percent),
    "fake_called_real": ("fake called real", percent),
    "uncertain": ("uncertain", percent),
    "ece": ("ECE", figure3),
}


def write_report(assessments: Sequence[Assessment], folder: Path) -> None:
    """Write ``metrics.json`` and ``report.html`` for one or several models into a new folder."""
    single = len(assessments) == 1
    write_json(folder / "metrics.json", assessments[0].result if single else {a.name: a.result for a in assessments})
    write_page(
        folder / "report.html",
        "evaluation.html" if single else "comparison.html",
        title=assessments[0].name if single else "Comparison of " + ", ".join(a.name for a in assessments),
        models=[_model(assessment) for assessment in assessments],
        columns={key: name for key, (name, _) in COLUMNS.items()},
        write={key: write for key, (_, write) in COLUMNS.items()},
        overall=_overall_figures(assessments),
        counts=assessments[0].result["data"]["counts"],
        images=len(assessments[0].samples),
        sources=list(assessments[0].result["sources"]),
    )


def evaluation_table(result: Mapping[str, Any]) -> Table:
    """Return the metrics of one model by source as a table for a terminal."""
    table = Table("source", "real", "fake", *(name for name, _ in COLUMNS.values()))
    for name, row in [*result["sources"].items(), ("pooled", result["pooled"])]:
        table.add_row(
            escape(name), str(row["real"]), str(row["fake"]), *(write(row[key]) for key, (_, write) in COLUMNS.items())
        )
    return table


def comparison_table(assessments: Sequence[Assessment]) -> Table:
    """Return the pooled metrics of several models, and AUC and wrong verdicts by source, as a table for a terminal."""
    table = Table("", *(escape(assessment.name) for assessment in assessments))
    for key, (name, write) in COLUMNS.items():
        table.add_row(f"pooled: {name}", *(write(a.result["pooled"][key]) for a in assessments))
    for source in assessments[0].result["sources"]:
        table.add_row(escape(source), *(source_cell(a.result["sources"][source]) for a in assessments))
    if all(a.result["robustness"] for a in assessments):
        table.add_row("verdict flip rate", *(percent(a.result["robustness"]["flips"]["rate"]) for a in assessments))
        table.add_row("drawings called real or fake", *(percent(a.result["drawings"]["sure"]) for a in assessments))
    return table


def source_cell(row: Mapping[str, Any]) -> str:
    """Format the results on one source: AUC if it has both classes, and wrong and uncertain verdicts."""
    values = [] if row["roc_auc"] is None else [f"AUC {row['roc_auc']:.3f}"]
    for key, name in (("real_called_fake", "real called fake"), ("fake_called_real", "fake called real")):
        if row[key] is not None:
            values.append(f"{name} {percent(row[key])}")
    return ", ".join([*values, f"uncertain {percent(row['uncertain'])}"])


def _model(assessment: Assessment) -> dict[str, Any]:
    spec, result = assessment.engine.spec, assessment.result
    return {
        "name": assessment.name,
        "sha256": assessment.engine.sha256,
        "spec": spec,
        "result": result,
        "figures": _figures(assessment),
        "tiers": [row for row in result["robustness"]["conditions"] if row["kind"] == "tier"]
        if result["robustness"]
        else [],
        "worst": _worst(assessment),
        "cells": {source: source_cell(row) for source, row in result["sources"].items()},
    }


def _figures(assessment: Assessment) -> dict[str, Markup]:
    truth, result, spec = assessment.truth, assessment.result, assessment.engine.spec
    plotted = {
        "scores": plots.scores(truth, assessment.p_fake, spec.threshold_real, spec.threshold_fake),
        "verdicts": plots.confusion(
            result["pooled"]["verdicts"], ["real", "uncertain", "fake"], "Verdicts at the stored thresholds"
        ),
    }
    if assessment.history:
        plotted["history"] = plots.history(assessment.history, spec.metrics.get("kept_epoch"))
    if truth.any() and not truth.all():
        plotted["roc"] = plots.roc({assessment.name: (truth, assessment.p_fake)})
        plotted["reliability"] = plots.reliability_diagram(truth, assessment.before, assessment.p_fake)
    if result["robustness"]:
        plotted["robustness"] = plots.robustness({assessment.name: result["robustness"]})
        plotted["flips"] = plots.flips(result["robustness"]["flips"])
    return {name: svg(figure) for name, figure in plotted.items()}


def _overall_figures(assessments: Sequence[Assessment]) -> dict[str, Markup]:
    plotted = {}
    if assessments[0].truth.any() and not assessments[0].truth.all():
        plotted["roc"] = svg(plots.roc({a.name: (a.truth, a.p_fake) for a in assessments}))
    if all(a.result["robustness"] for a in assessments):
        plotted["robustness"] = svg(plots.robustness({a.name: a.result["robustness"] for a in assessments}))
    return plotted


def _worst(assessment: Assessment) -> list[tuple[str, list[dict[str, str]]]]:
    """Return the worst mistakes by class: reals with the highest and fakes with the lowest P(fake)."""
    truth, p_fake = assessment.truth, assessment.p_fake
    groups = []
    for fake, title in ((False, "Real faces with the highest P(fake)"), (True, "Fakes with the lowest P(fake)")):
        rows = np.flatnonzero(truth == fake)
        rows = rows[np.argsort(p_fake[rows] if fake else -p_fake[rows], kind="stable")][:_MAX_WORST]
        samples = [assessment.samples[row] for row in rows]
        pictures = [
            {"picture": picture, "name": f"{sample.source}/{sample.path.name}", "score": f"{p_fake[row]:.3f}"}
            for picture, sample, row in zip(thumbnails(samples), samples, rows, strict=True)
        ]
        if pictures:
            groups.append((title, pictures))
    return groups
