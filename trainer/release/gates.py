"""Release gates: limits that a new model must meet before it is published.

A gate has a fixed target. If the published model misses the target too, the limit is that model's value, minus a slack
for chance where the gate has one.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from service.contract.spec import Precision
from trainer.evaluation.cost import Cost

# An AUC may fall by chance: by several hundredths on 80 pictures per class, by a few thousandths on hundreds. Slack
# does not accumulate over versions, because the limit of the published model stays in force.
AUC_SLACK: Final = 0.005
SOURCE_AUC_SLACK: Final = 0.01
BALANCED_ACCURACY_SLACK: Final = 0.01
# For four similar models, the flip rates of validation and test part (700 and 900 pictures) differ by 0.004 to 0.007.
FLIPS_SLACK: Final = 0.005
MIN_SPECIFICITY: Final = 0.98
# Applies if nothing is published: a model that answers only ``uncertain`` has no false positives either.
MIN_BALANCED_ACCURACY: Final = 0.5
MAX_ECE: Final = 0.03
MAX_FLIPS: Final = 0.03
MAX_DECIDED_DRAWINGS: Final = 0.05
MAX_MILLISECONDS: Final = 5.0
MAX_SLOWDOWN: Final = 1.1
MAX_MEGABYTES: Final = 4.0
# A lower precision may lose this much AUC, and must gain this much speed on a CPU with instructions for it.
MAX_AUC_LOSS: Final = 0.003
MIN_SPEEDUP: Final = 1.25


@dataclass(frozen=True, slots=True)
class Measured:
    """Measurements of one model on pictures that it has not seen.

    Both models are timed on the same machine.

    Attributes:
        own: assessment result on a test part; its robustness metrics may be None.
        elsewhere: assessment result without robustness metrics, on data that neither model has seen; None if no such
            data was given.
        cost: time per face and file size.
        precision: precision of the weights.
    """

    own: Mapping[str, Any]
    elsewhere: Mapping[str, Any] | None
    cost: Cost
    precision: Precision = "float32"


@dataclass(frozen=True, slots=True)
class Gate:
    """A metric of a candidate and its limit.

    Attributes:
        name: metric and data; identifies the gate across releases.
        value: value of the candidate; NaN if not measured.
        published: value of the published model; None if nothing is published.
        limit: the worst value that passes.
        higher_is_better: whether values above or below the limit pass.
    """

    name: str
    value: float
    published: float | None
    limit: float
    higher_is_better: bool

    @property
    def passed(self) -> bool:
        """Whether the value meets the limit; NaN never does."""
        return self.value >= self.limit if self.higher_is_better else self.value <= self.limit

    @property
    def value_text(self) -> str:
        """The candidate's value as text."""
        return "not measured" if math.isnan(self.value) else f"{self.value:.4g}"


def gates(
    candidate: Measured,
    published: Measured | None,
    against_float32: Mapping[str, Any] | None = None,
    previous_limits: Mapping[str, float] | None = None,
) -> list[Gate]:
    """Compare a candidate with the fixed targets and with the published model.

    A gate fails if the published model was measured on it and the candidate was not.

    Args:
        candidate: model to be published.
        published: the present default model; if None, only the fixed targets apply, and there are no gates for AUCs
            and drawings.
        against_float32: for a lower precision, its :class:`trainer.export.reduce.Reduction` as a mapping.
        previous_limits: limits that applied to the published model, by gate name.
    """
    return [
        *(
            _tightened(gate, previous_limits or {})
            for gate in (*_auc_gates(candidate, published), *_verdict_gates(candidate, published))
        ),
        *_cost_gates(candidate.cost, published.cost if published else None),
        *_reduction_gates(candidate, against_float32),
    ]


def _tightened(gate: Gate, previous_limits: Mapping[str, float]) -> Gate:
    if gate.published is None or gate.name not in previous_limits:
        return gate
    strictest = max if gate.higher_is_better else min
    return replace(gate, limit=strictest(gate.limit, previous_limits[gate.name]))


def failed_gates(results: Sequence[Gate]) -> list[str]:
    """Describe every gate that fails: its name, value and limit."""
    return [
        f"{gate.name}: {gate.value_text}"
        + ("" if math.isnan(gate.value) else f", {'under' if gate.higher_is_better else 'over'} {gate.limit:.4g}")
        for gate in results
        if not gate.passed
    ]


def _auc_gates(candidate: Measured, published: Measured | None) -> Iterator[Gate]:
    """Yield the gates for AUC, which has no fixed target: clean and hard, pooled and per source with both classes."""
    if not published:
        return
    for tier, candidate_aucs, published_aucs in (
        ("clean", _clean_aucs(candidate.own), _clean_aucs(published.own)),
        ("hard", _hard_aucs(candidate.own), _hard_aucs(published.own)),
    ):
        for group, auc in published_aucs.items():
            if auc is not None:
                slack = SOURCE_AUC_SLACK if group else AUC_SLACK
                yield _regression_gate(
                    f"AUC of {group}, {tier}" if group else f"AUC, {tier}", candidate_aucs.get(group), auc, slack
                )
    elsewhere_aucs = _source_aucs(candidate.elsewhere)
    for source, auc in _source_aucs(published.elsewhere).items():
        yield _regression_gate(f"AUC of {source}, elsewhere", elsewhere_aucs.get(source), auc, SOURCE_AUC_SLACK)


def _verdict_gates(candidate: Measured, published: Measured | None) -> Iterator[Gate]:
    own, published_own = candidate.own, published.own if published else None
    for attribute, suffix in (("own", ""), ("elsewhere", ", elsewhere")):
        candidate_rates, published_rates = (
            _specificities(getattr(candidate, attribute)),
            _specificities(getattr(published, attribute, None)),
        )
        for source in sorted({**candidate_rates, **published_rates}):
            name = f"reals of {source} not called fake{suffix}"
            yield _minimum_gate(
                name, candidate_rates.get(source, math.nan), published_rates.get(source), MIN_SPECIFICITY
            )
    balanced_accuracy, name = own["pooled"]["balanced_accuracy"], "called by their name, mean of both classes"
    if published_own:
        yield _regression_gate(
            name, balanced_accuracy, published_own["pooled"]["balanced_accuracy"], BALANCED_ACCURACY_SLACK
        )
    else:
        yield _minimum_gate(name, balanced_accuracy, None, MIN_BALANCED_ACCURACY)
    ece = published_own["pooled"]["ece"] if published_own else None
    yield _maximum_gate("calibration error (ECE)", own["pooled"]["ece"], ece, MAX_ECE)
    flips = published_own["robustness"]["flips"]["rate"] if published_own and published_own["robustness"] else None
    rate = own["robustness"]["flips"]["rate"]
    limit = MAX_FLIPS if flips is None else max(MAX_FLIPS, flips + FLIPS_SLACK)
    yield Gate("verdicts that flip", math.nan if rate is None else rate, flips, limit, higher_is_better=False)
    if published_own:
        sure, name = own["drawings"]["sure"], "drawings with a sure verdict"
        yield _maximum_gate(name, sure, published_own["drawings"]["sure"], MAX_DECIDED_DRAWINGS)


def _specificities(result: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the specificity of each source with reals: the share of its reals not called fake."""
    rows = result["sources"] if result else {}
    return {source: 1 - row["real_called_fake"] for source, row in rows.items() if row["real_called_fake"] is not None}


def _cost_gates(candidate: Cost, published: Cost | None) -> Iterator[Gate]:
    slowest = max(MAX_MILLISECONDS, published.milliseconds * MAX_SLOWDOWN) if published else MAX_MILLISECONDS
    published_milliseconds = published.milliseconds if published else None
    yield Gate(
        "milliseconds a face on one core",
        candidate.milliseconds,
        published_milliseconds,
        slowest,
        higher_is_better=False,
    )
    yield _maximum_gate("megabytes", candidate.megabytes, published.megabytes if published else None, MAX_MEGABYTES)


def _reduction_gates(candidate: Measured, reduction: Mapping[str, Any] | None) -> Iterator[Gate]:
    """Yield the gates of a lower precision; speed counts for int8 only: float16 is for CUDA, and no faster on a CPU."""
    if reduction and reduction["auc"] is not None:
        float32_auc = reduction["float32_auc"]
        yield Gate(
            "AUC of this precision", reduction["auc"], float32_auc, float32_auc - MAX_AUC_LOSS, higher_is_better=True
        )
    if reduction and candidate.precision == "int8":
        yield Gate("times as fast as float32", reduction["speedup"], None, MIN_SPEEDUP, higher_is_better=True)


def _regression_gate(name: str, value: float | None, published: float, slack: float) -> Gate:
    return Gate(name, math.nan if value is None else value, published, published - slack, higher_is_better=True)


def _minimum_gate(name: str, value: float, published: float | None, target: float) -> Gate:
    return Gate(name, value, published, target if published is None else min(target, published), higher_is_better=True)


def _maximum_gate(name: str, value: float, published: float | None, target: float) -> Gate:
    return Gate(name, value, published, target if published is None else max(target, published), higher_is_better=False)


def _clean_aucs(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the AUCs of unchanged pictures: by source, pooled under an empty name."""
    return {"": result["pooled"].get("roc_auc"), **_source_aucs(result)}


def _source_aucs(result: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the AUCs of the sources with both classes."""
    rows = sorted(result["sources"].items()) if result else ()
    return {source: row["roc_auc"] for source, row in rows if row["roc_auc"] is not None}


def _hard_aucs(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the AUCs of the hard tier: by source, pooled under an empty name; empty if not measured."""
    for row in result["robustness"]["conditions"] if result["robustness"] else ():
        if (row["kind"], row["name"]) == ("tier", "hard"):
            return {"": row["roc_auc"], **row["sources"]}
    return {}
