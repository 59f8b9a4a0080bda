"""The report of an evaluation or a comparison: one page for people, one JSON file, one terminal table."""

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

_WORST: Final = 12
# Key of a figure: its heading, and how its value is written.
COLUMNS: Final[dict[str, tuple[str, Any]]] = {
    "roc_auc": ("ROC AUC", figure3),
    "average_precision": ("average precision", figure3),
    "balanced_accuracy": ("balanced accuracy", figure3),
    "tpr_at_fpr_01": ("fakes found at 1 % false alarms", percent),
    "tpr_at_fpr_005": ("at .5 %", percent),
    "real_called_fake": ("real called fake", percent),
    "fake_called_real": ("fake called real", percent),
    "uncertain": ("uncertain", percent),
    "ece": ("ECE", figure3),
}


def write_report(found: Sequence[Assessment], folder: Path) -> None:
    """Write ``metrics.json`` and ``report.html`` for one model or several into a new folder."""
    one = len(found) == 1
    write_json(folder / "metrics.json", found[0].result if one else {a.name: a.result for a in found})
    write_page(
        folder / "report.html",
        "evaluation.html" if one else "comparison.html",
        title=found[0].name if one else "Comparison of " + ", ".join(a.name for a in found),
        models=[_model(assessment) for assessment in found],
        columns={key: name for key, (name, _) in COLUMNS.items()},
        write={key: write for key, (_, write) in COLUMNS.items()},
        overall=_overall_figures(found),
        counts=found[0].result["data"]["counts"],
        images=len(found[0].samples),
        sources=list(found[0].result["sources"]),
    )


def evaluation_table(result: Mapping[str, Any]) -> Table:
    """Return one model's figures, source by source, for a terminal."""
    table = Table("source", "real", "fake", *(name for name, _ in COLUMNS.values()))
    for name, row in [*result["sources"].items(), ("pooled", result["pooled"])]:
        table.add_row(
            escape(name), str(row["real"]), str(row["fake"]), *(write(row[key]) for key, (_, write) in COLUMNS.items())
        )
    return table


def comparison_table(found: Sequence[Assessment]) -> Table:
    """Return the pooled figures of several models, and AUC or wrong verdicts by source, for a terminal."""
    table = Table("", *(escape(assessment.name) for assessment in found))
    for key, (name, write) in COLUMNS.items():
        table.add_row(f"pooled: {name}", *(write(a.result["pooled"][key]) for a in found))
    for source in found[0].result["sources"]:
        table.add_row(escape(source), *(source_cell(a.result["sources"][source]) for a in found))
    if all(a.result["robustness"] for a in found):
        table.add_row("verdicts that flip", *(percent(a.result["robustness"]["flips"]["rate"]) for a in found))
        table.add_row("drawings with a sure verdict", *(percent(a.result["drawings"]["sure"]) for a in found))
    return table


def source_cell(row: Mapping[str, Any]) -> str:
    """Say in a cell what one source tells of a model: AUC where it has both classes, and wrong verdicts."""
    said = [] if row["roc_auc"] is None else [f"AUC {row['roc_auc']:.3f}"]
    for key, name in (("real_called_fake", "real called fake"), ("fake_called_real", "fake called real")):
        if row[key] is not None:
            said.append(f"{name} {percent(row[key])}")
    return ", ".join([*said, f"uncertain {percent(row['uncertain'])}"])


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
    drawn = {
        "scores": plots.scores(truth, assessment.p_fake, spec.threshold_real, spec.threshold_fake),
        "verdicts": plots.confusion(
            result["pooled"]["verdicts"], ["real", "uncertain", "fake"], "Verdicts, at the stored thresholds"
        ),
    }
    if assessment.history:
        drawn["history"] = plots.history(assessment.history, spec.metrics.get("kept_epoch"))
    if truth.any() and not truth.all():
        drawn["roc"] = plots.roc({assessment.name: (truth, assessment.p_fake)})
        drawn["reliability"] = plots.reliability_diagram(truth, assessment.before, assessment.p_fake)
    if result["robustness"]:
        drawn["robustness"] = plots.robustness({assessment.name: result["robustness"]})
        drawn["flips"] = plots.flips(result["robustness"]["flips"])
    return {name: svg(figure) for name, figure in drawn.items()}


def _overall_figures(found: Sequence[Assessment]) -> dict[str, Markup]:
    drawn = {}
    if found[0].truth.any() and not found[0].truth.all():
        drawn["roc"] = svg(plots.roc({a.name: (a.truth, a.p_fake) for a in found}))
    if all(a.result["robustness"] for a in found):
        drawn["robustness"] = svg(plots.robustness({a.name: a.result["robustness"] for a in found}))
    return drawn


def _worst(assessment: Assessment) -> list[tuple[str, list[dict[str, str]]]]:
    """The most wrong pictures of each class: reals that look most fake, and the other way round."""
    truth, p_fake = assessment.truth, assessment.p_fake
    found = []
    for fake, title in ((False, "Real faces that look most fake to it"), (True, "Fakes that look most real to it")):
        rows = np.flatnonzero(truth == fake)
        rows = rows[np.argsort(p_fake[rows] if fake else -p_fake[rows], kind="stable")][:_WORST]
        samples = [assessment.samples[row] for row in rows]
        pictures = [
            {"picture": picture, "name": f"{sample.source}/{sample.path.name}", "score": f"{p_fake[row]:.3f}"}
            for picture, sample, row in zip(thumbnails(samples), samples, rows, strict=True)
        ]
        if pictures:
            found.append((title, pictures))
    return found
