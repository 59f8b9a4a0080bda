"""Release gates: what a new model must reach before it is published, figure by figure.

Each gate has an aim that holds by itself, and where the published model does not reach it either, a figure of that
model that must not be lost by more than a slack for chance.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from service.contract.spec import Precision
from trainer.evaluation.cost import Cost

# Areas under the ROC curve may fall by chance: on 80 pictures a class by several hundredths, on hundreds by some
# thousandths. What a slack lets through, the next version's slack does not add to: the limit that was held stands.
AUC_SLACK: Final = 0.005
SOURCE_AUC_SLACK: Final = 0.01
DECIDED_SLACK: Final = 0.01
# Of four models of one kind, the flips of validation and test part, 700 and 900 pictures, are .004 to .007 apart.
FLIPS_SLACK: Final = 0.005
MIN_REAL_RATE: Final = 0.98
# Where nothing is published. A model that calls nothing by its name calls no real face fake either.
MIN_DECIDED: Final = 0.5
MAX_ECE: Final = 0.03
MAX_FLIPS: Final = 0.03
MAX_SURE_OF_DRAWINGS: Final = 0.05
MAX_MILLISECONDS: Final = 5.0
SLOWER: Final = 1.1
MAX_MEGABYTES: Final = 4.0
# What a lower precision may cost, and must gain on a CPU that has instructions for it.
MAX_AUC_LOST: Final = 0.003
MIN_SPEEDUP: Final = 1.25


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on the same machine as the other, and on pictures that it has not seen.

    Attributes:
        own: an assessment's result on a test part, with robustness figures or None for those.
        elsewhere: one without them, on data that neither model has seen; None where none was given.
        cost: what it costs.
        precision: of its weights.
    """

    own: Mapping[str, Any]
    elsewhere: Mapping[str, Any] | None
    cost: Cost
    precision: Precision = "float32"


@dataclass(frozen=True, slots=True)
class Gate:
    """One figure of a candidate against its limit.

    Attributes:
        name: what is measured, and on what.
        value: the candidate's.
        published: the published model's; None where nothing is published.
        limit: the worst value that passes.
        higher_is_better: which side of the limit passes.
    """

    name: str
    value: float
    published: float | None
    limit: float
    higher_is_better: bool

    @property
    def passed(self) -> bool:
        """Whether the candidate may be published as far as this goes; what is not a number may not."""
        return self.value >= self.limit if self.higher_is_better else self.value <= self.limit

    @property
    def said(self) -> str:
        """The candidate's value, as people read it."""
        return "not measured" if math.isnan(self.value) else f"{self.value:.4g}"


def gates(
    candidate: Measured,
    published: Measured | None,
    against_float32: Mapping[str, Any] | None = None,
    held: Mapping[str, float] | None = None,
) -> list[Gate]:
    """Hold a candidate against the aims and against the published model.

    What the published model was measured on and the candidate was not is a gate that is shut.

    Args:
        candidate: to be published.
        published: the default so far; without one the aims alone count; areas have none, and drawings no gate.
        against_float32: for a lower precision, its :class:`trainer.export.reduce.Reduction` as a mapping.
        held: limits that the published model was held to, by the gate's name.
    """
    return [
        *(_as_strict(gate, held or {}) for gate in (*_areas(candidate, published), *_verdicts(candidate, published))),
        *_costs(candidate.cost, published.cost if published else None),
        *_reduction(candidate, against_float32),
    ]


def _as_strict(gate: Gate, held: Mapping[str, float]) -> Gate:
    if gate.published is None or gate.name not in held:
        return gate
    strictest = max if gate.higher_is_better else min
    return replace(gate, limit=strictest(gate.limit, held[gate.name]))


def refused(found: Sequence[Gate]) -> list[str]:
    """Say of every gate that is shut what it measured and what it wants."""
    return [
        f"{gate.name}: {gate.said}"
        + ("" if math.isnan(gate.value) else f", {'under' if gate.higher_is_better else 'over'} {gate.limit:.4g}")
        for gate in found
        if not gate.passed
    ]


def _areas(candidate: Measured, published: Measured | None) -> Iterator[Gate]:
    """Areas under the ROC curve, which no aim holds: clean and hard, pooled and of every source with both classes."""
    if not published:
        return
    for name, new, old in (
        ("clean", _clean(candidate.own), _clean(published.own)),
        ("hard", _hard(candidate.own), _hard(published.own)),
    ):
        for where, area in old.items():
            if area is not None:
                slack = SOURCE_AUC_SLACK if where else AUC_SLACK
                yield _not_lost(f"AUC of {where}, {name}" if where else f"AUC, {name}", new.get(where), area, slack)
    away = _source_areas(candidate.elsewhere)
    for source, area in _source_areas(published.elsewhere).items():
        yield _not_lost(f"AUC of {source}, elsewhere", away.get(source), area, SOURCE_AUC_SLACK)


def _verdicts(candidate: Measured, published: Measured | None) -> Iterator[Gate]:
    own, before = candidate.own, published.own if published else None
    for part, where in (("own", ""), ("elsewhere", ", elsewhere")):
        mine, theirs = _real_rates(getattr(candidate, part)), _real_rates(getattr(published, part, None))
        for source in sorted({**mine, **theirs}):
            name = f"reals of {source} not called fake{where}"
            yield _floor(name, mine.get(source, math.nan), theirs.get(source), MIN_REAL_RATE)
    decided, name = own["pooled"]["balanced_accuracy"], "called by their name, mean of both classes"
    if before:
        yield _not_lost(name, decided, before["pooled"]["balanced_accuracy"], DECIDED_SLACK)
    else:
        yield _floor(name, decided, None, MIN_DECIDED)
    ece = before["pooled"]["ece"] if before else None
    yield _ceiling("calibration error (ECE)", own["pooled"]["ece"], ece, MAX_ECE)
    flips = before["robustness"]["flips"]["rate"] if before and before["robustness"] else None
    rate = own["robustness"]["flips"]["rate"]
    most = MAX_FLIPS if flips is None else max(MAX_FLIPS, flips + FLIPS_SLACK)
    yield Gate("verdicts that flip", math.nan if rate is None else rate, flips, most, higher_is_better=False)
    if before:
        sure, name = own["drawings"]["sure"], "drawings with a sure verdict"
        yield _ceiling(name, sure, before["drawings"]["sure"], MAX_SURE_OF_DRAWINGS)


def _real_rates(result: Mapping[str, Any] | None) -> dict[str, float]:
    """Share of the reals of each source that are not called fake."""
    rows = result["sources"] if result else {}
    return {source: 1 - row["real_called_fake"] for source, row in rows.items() if row["real_called_fake"] is not None}


def _costs(mine: Cost, theirs: Cost | None) -> Iterator[Gate]:
    slowest = max(MAX_MILLISECONDS, theirs.milliseconds * SLOWER) if theirs else MAX_MILLISECONDS
    before = theirs.milliseconds if theirs else None
    yield Gate("milliseconds a face on one core", mine.milliseconds, before, slowest, higher_is_better=False)
    yield _ceiling("megabytes", mine.megabytes, theirs.megabytes if theirs else None, MAX_MEGABYTES)


def _reduction(candidate: Measured, found: Mapping[str, Any] | None) -> Iterator[Gate]:
    """What a lower precision costs; and gains, of int8 alone: float16 is for CUDA, and no faster on a CPU."""
    if found and found["auc"] is not None:
        full = found["float32_auc"]
        yield Gate("AUC of this precision", found["auc"], full, full - MAX_AUC_LOST, higher_is_better=True)
    if found and candidate.precision == "int8":
        yield Gate("times as fast as float32", found["speedup"], None, MIN_SPEEDUP, higher_is_better=True)


def _not_lost(name: str, value: float | None, published: float, slack: float) -> Gate:
    return Gate(name, math.nan if value is None else value, published, published - slack, higher_is_better=True)


def _floor(name: str, value: float, published: float | None, aim: float) -> Gate:
    return Gate(name, value, published, aim if published is None else min(aim, published), higher_is_better=True)


def _ceiling(name: str, value: float, published: float | None, aim: float) -> Gate:
    return Gate(name, value, published, aim if published is None else max(aim, published), higher_is_better=False)


def _clean(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Areas of the pictures as they are: by source, pooled under an empty name."""
    return {"": result["pooled"].get("roc_auc"), **_source_areas(result)}


def _source_areas(result: Mapping[str, Any] | None) -> dict[str, float]:
    """Areas of the sources that hold both classes."""
    rows = sorted(result["sources"].items()) if result else ()
    return {source: row["roc_auc"] for source, row in rows if row["roc_auc"] is not None}


def _hard(result: Mapping[str, Any]) -> dict[str, float | None]:
    """The same of the hard tier; empty where it was not measured."""
    for row in result["robustness"]["conditions"] if result["robustness"] else ():
        if (row["kind"], row["name"]) == ("tier", "hard"):
            return {"": row["roc_auc"], **row["sources"]}
    return {}
