"""Audit: what a collection of faces is like, and what gives its classes away beside the faces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.audit.findings import sentences
from trainer.audit.shortcut_score import SEPARABLE, Cheat, cheat
from trainer.data.dataset import Dataset, Sample, is_fake

_LISTED = 200


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        verdict: that of the pooled cheat score, see :class:`trainer.audit.shortcut_score.Cheat`.
        findings: the same in words, most important first.
        pooled: cheat score of everything together.
        sources: cheat score of each source: within itself, or against all pictures of the class
            that it lacks.
        strata: what each ``source/label`` is like.
        left_out: files that are unreadable or exact duplicates, and why.
        near: pairs of near duplicates.
    """

    verdict: str
    findings: list[str]
    pooled: Cheat
    sources: dict[str, Cheat]
    strata: dict[str, dict[str, Any]]
    left_out: list[dict[str, str]]
    near: list[tuple[Sample, Sample]]

    def summary(self) -> dict[str, Any]:
        """Return what a run records: the verdict, the scores and the words."""
        scores = {name: found.score for name, found in self.sources.items()}
        return {
            "verdict": self.verdict,
            "cheat_score": self.pooled.score,
            "sources": scores,
            "cues": self.pooled.cues,
            "findings": self.findings,
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything, as JSON values."""
        kinds = Counter(_kind(one, other) for one, other in self.near)
        pairs = [
            {"one": str(one.path), "other": str(other.path), "kind": _kind(one, other)} for one, other in self.near
        ]
        return {
            **self.summary(),
            "threshold": SEPARABLE,
            "pooled": asdict(self.pooled),
            "sources": {name: asdict(found) for name, found in self.sources.items()},
            "strata": self.strata,
            "left_out": {
                "counts": dict(Counter(entry["kind"] for entry in self.left_out)),
                "files": self.left_out,
            },
            "near_duplicates": {"pairs": len(self.near), "kinds": dict(kinds), "first": pairs[:_LISTED]},
        }


def audit(dataset: Dataset, seed: int = 0) -> Audit:
    """Look at a scanned dataset, whose groups are set (:func:`trainer.data.groups.grouped`)."""
    samples = dataset.samples
    pooled = _score(samples, seed)
    sources = {name: _score(_of_source(samples, name), seed) for name in sorted({s.source for s in samples})}
    near = [(samples[one], samples[other]) for one, other in dataset.near]
    by_stratum: dict[str, list[Sample]] = {}
    for sample in samples:
        by_stratum.setdefault(f"{sample.source}/{sample.label}", []).append(sample)
    left_out = [
        {"path": str(r.path), "stratum": f"{r.source}/{r.label}", "kind": _left_out_kind(r.reason), "reason": r.reason}
        | ({"twin": f"{r.twin.source}/{r.twin.label}"} if r.twin else {})
        for r in dataset.rejected
    ]
    strata = {name: describe(members) for name, members in sorted(by_stratum.items())}
    findings = sentences(samples, pooled, sources, near, left_out)
    return Audit(pooled.verdict, findings, pooled, sources, strata, left_out, near)


def _score(samples: Sequence[Sample], seed: int) -> Cheat:
    return cheat([s.facts for s in samples if s.facts], is_fake(samples), [s.group for s in samples], seed=seed)


def _of_source(samples: Sequence[Sample], name: str) -> list[Sample]:
    """A source by itself; one that holds one class only, against all of the other class."""
    labels = {sample.label for sample in samples if sample.source == name}
    return [s for s in samples if s.source == name or (len(labels) == 1 and s.label not in labels)]


def _kind(one: Sample, other: Sample) -> str:
    classes = "across classes" if one.label != other.label else "within a class"
    return f"{classes}, {'across sources' if one.source != other.source else 'within a source'}"


def _left_out_kind(reason: str) -> str:
    first = reason.split(" ", 1)[0].rstrip(":")
    return {
        "duplicate": "exact duplicate",
        "contradictory": "contradictory label",
        "no_face": "no face",
    }.get(first, "unreadable")


def describe(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return counts and quantiles of one source and class."""
    facts = [sample.facts for sample in samples if sample.facts]
    quality = [fact.quality for fact in facts if fact.quality]
    margins = [fact.margin for fact in facts if fact.margin]
    return {
        "images": len(facts),
        "file_size": _quantiles([fact.file_size for fact in facts]),
        "sizes": _shares(Counter(f"{fact.width}x{fact.height}" for fact in facts)),
        "formats": _shares(Counter(fact.format for fact in facts)),
        "jpeg_quality": _quantiles(quality) if quality else None,
        "subsampling": _shares(Counter(fact.subsampling for fact in facts if fact.subsampling)),
        "sharpness": _quantiles([fact.sharpness for fact in facts]),
        "greyscale": sum(fact.greyscale for fact in facts) / len(facts),
        "faces": len(margins) / len(facts),
        "margin": _quantiles(margins) if margins else None,
    }


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = np.percentile(values, [5, 50, 95])
    return {"p5": round(float(low), 3), "median": round(float(middle), 3), "p95": round(float(high), 3)}


def _shares(counts: Mapping[str, int], most: int = 5) -> dict[str, int]:
    ranked = Counter(counts).most_common()
    rest = sum(count for _, count in ranked[most:])
    return dict(ranked[:most]) | ({"other": rest} if rest else {})
