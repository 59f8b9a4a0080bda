"""Release gates: what a new model must reach before it is published, figure by figure.

Each gate has an aim that holds by itself, and where the published model does not reach it either, a figure of that
model that must not be lost by more than a slack for chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainer.cost import Cost

# Areas under the ROC curve may fall by chance: on 80 pictures a class by several hundredths, on hundreds by some
# thousandths. What a slack lets through, the next version's slack does not add to: the published figures stand.
AUC_SLACK: Final = 0.005
SOURCE_AUC_SLACK: Final = 0.01
DECIDED_SLACK: Final = 0.01
MIN_REAL_RATE: Final = 0.98
MAX_ECE: Final = 0.03
MAX_FLIPS: Final = 0.03
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
    """

    own: Mapping[str, Any]
    elsewhere: Mapping[str, Any] | None
    cost: Cost


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


def gates(
    candidate: Measured, published: Measured | None, against_float32: Mapping[str, Any] | None = None
) -> list[Gate]:
    """Hold a candidate against the aims and against the published model.

    Args:
        candidate: to be published.
        published: the default so far; without one the aims alone count, and areas have no aim.
        against_float32: for a lower precision, its :class:`trainer.reduce.Reduction` as a mapping.
    """
    return [
        *_areas(candidate, published),
        *_verdicts(candidate, published),
        *_costs(candidate.cost, published.cost if published else None),
        *(_reduction(against_float32) if against_float32 else ()),
    ]


def refused(found: Sequence[Gate]) -> list[str]:
    """Say of every gate that is shut what it measured and what it wants."""
    return [
        f"{gate.name}: {gate.value:.4g}, {'under' if gate.higher_is_better else 'over'} {gate.limit:.4g}"
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
        for where, area in new.items():
            if area is not None and old.get(where) is not None:
                slack = SOURCE_AUC_SLACK if where else AUC_SLACK
                yield _not_lost(f"AUC of {where}, {name}" if where else f"AUC, {name}", area, old[where], slack)
    for source, area in _clean(candidate.elsewhere).items() if candidate.elsewhere and published.elsewhere else ():
        before = _clean(published.elsewhere)[source]
        if source and area is not None and before is not None:
            yield _not_lost(f"AUC of {source}", area, before, SOURCE_AUC_SLACK)


def _verdicts(candidate: Measured, published: Measured | None) -> Iterator[Gate]:
    own, before = candidate.own, published.own if published else None
    for where in ("own", "elsewhere"):
        mine, theirs = getattr(candidate, where), getattr(published, where, None)
        for source, row in sorted(mine["sources"].items()) if mine else ():
            if row["real_called_fake"] is not None:
                rate = 1 - row["real_called_fake"]
                then = theirs["sources"].get(source) if theirs else None
                old = None if then is None else 1 - then["real_called_fake"]
                yield _floor(f"reals of {source} not called fake", rate, old, MIN_REAL_RATE)
    if before:
        decided, then = own["pooled"]["balanced_accuracy"], before["pooled"]["balanced_accuracy"]
        yield _not_lost("called by their name, mean of both classes", decided, then, DECIDED_SLACK)
    ece = before["pooled"]["ece"] if before else None
    yield _ceiling("calibration error (ECE)", own["pooled"]["ece"], ece, MAX_ECE)
    flips = before["robustness"]["flips"]["rate"] if before and before["robustness"] else None
    yield _ceiling("verdicts that flip", own["robustness"]["flips"]["rate"], flips, MAX_FLIPS)


def _costs(mine: Cost, theirs: Cost | None) -> Iterator[Gate]:
    slowest = max(MAX_MILLISECONDS, theirs.milliseconds * SLOWER) if theirs else MAX_MILLISECONDS
    before = theirs.milliseconds if theirs else None
    yield Gate("milliseconds a face on one core", mine.milliseconds, before, slowest, higher_is_better=False)
    yield _ceiling("megabytes", mine.megabytes, theirs.megabytes if theirs else None, MAX_MEGABYTES)


def _reduction(found: Mapping[str, Any]) -> Iterator[Gate]:
    if found["auc"] is not None:
        full = found["float32_auc"]
        yield Gate("AUC of this precision", found["auc"], full, full - MAX_AUC_LOST, higher_is_better=True)
    yield Gate("times as fast as float32", found["speedup"], None, MIN_SPEEDUP, higher_is_better=True)


def _not_lost(name: str, value: float, published: float, slack: float) -> Gate:
    return Gate(name, value, published, published - slack, higher_is_better=True)


def _floor(name: str, value: float, published: float | None, aim: float) -> Gate:
    return Gate(name, value, published, aim if published is None else min(aim, published), higher_is_better=True)


def _ceiling(name: str, value: float, published: float | None, aim: float) -> Gate:
    return Gate(name, value, published, aim if published is None else max(aim, published), higher_is_better=False)


def _clean(result: Mapping[str, Any]) -> dict[str, float | None]:
    """Areas of the pictures as they are: by source, pooled under an empty name."""
    areas = {source: row["roc_auc"] for source, row in sorted(result["sources"].items())}
    return {"": result["pooled"].get("roc_auc"), **areas}


def _hard(result: Mapping[str, Any]) -> dict[str, float | None]:
    """The same of the hard tier; empty where it was not measured."""
    for row in result["robustness"]["conditions"] if result["robustness"] else ():
        if (row["kind"], row["name"]) == ("tier", "hard"):
            return {"": row["roc_auc"], **row["sources"]}
    return {}
