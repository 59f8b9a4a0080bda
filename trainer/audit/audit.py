"""Audit: describe a dataset, and measure which cues separate its classes without the faces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.audit.findings import sentences
from trainer.audit.shortcut_score import SEPARABLE, ShortcutScore, shortcut_score
from trainer.data.dataset import Dataset, Sample, is_fake

_MAX_LISTED_PAIRS = 200


@dataclass(frozen=True, slots=True)
class Audit:
    """Results of an audit.

    Attributes:
        verdict: verdict of the pooled score, see :class:`trainer.audit.shortcut_score.ShortcutScore`.
        findings: the results in sentences, most important first.
        pooled: shortcut score of all pictures together.
        sources: shortcut score of each source; a source of one class is scored against all pictures
            of the other class.
        strata: counts and quantiles of each ``source/label``.
        left_out: files that are left out, with the reason.
        near: pairs of near duplicates.
    """

    verdict: str
    findings: list[str]
    pooled: ShortcutScore
    sources: dict[str, ShortcutScore]
    strata: dict[str, dict[str, Any]]
    left_out: list[dict[str, str]]
    near: list[tuple[Sample, Sample]]

    def summary(self) -> dict[str, Any]:
        """Return what a run records: the verdict, the scores and the findings."""
        scores = {name: result.score for name, result in self.sources.items()}
        return {
            "verdict": self.verdict,
            "cheat_score": self.pooled.score,
            "sources": scores,
            "cues": self.pooled.cues,
            "findings": self.findings,
        }

    def to_json(self) -> dict[str, Any]:
        """Return all results as JSON values."""
        kinds = Counter(_kind(first, second) for first, second in self.near)
        pairs = [
            {"one": str(first.path), "other": str(second.path), "kind": _kind(first, second)}
            for first, second in self.near
        ]
        return {
            **self.summary(),
            "threshold": SEPARABLE,
            "pooled": asdict(self.pooled),
            "sources": {name: asdict(result) for name, result in self.sources.items()},
            "strata": self.strata,
            "left_out": {
                "counts": dict(Counter(entry["kind"] for entry in self.left_out)),
                "files": self.left_out,
            },
            "near_duplicates": {"pairs": len(self.near), "kinds": dict(kinds), "first": pairs[:_MAX_LISTED_PAIRS]},
        }


def audit(dataset: Dataset, seed: int = 0) -> Audit:
    """Audit a scanned dataset whose groups are set (:func:`trainer.data.groups.grouped`)."""
    samples = dataset.samples
    pooled = _score(samples, seed)
    sources = {name: _score(_of_source(samples, name), seed) for name in sorted({s.source for s in samples})}
    near = [(samples[first], samples[second]) for first, second in dataset.near]
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


def _score(samples: Sequence[Sample], seed: int) -> ShortcutScore:
    return shortcut_score(
        [s.facts for s in samples if s.facts], is_fake(samples), [s.group for s in samples], seed=seed
    )


def _of_source(samples: Sequence[Sample], name: str) -> list[Sample]:
    """Return the samples of a source; for a source of one class, also all samples of the other class."""
    labels = {sample.label for sample in samples if sample.source == name}
    return [s for s in samples if s.source == name or (len(labels) == 1 and s.label not in labels)]


def _kind(first: Sample, second: Sample) -> str:
    classes = "across classes" if first.label != second.label else "within a class"
    return f"{classes}, {'across sources' if first.source != second.source else 'within a source'}"


def _left_out_kind(reason: str) -> str:
    first = reason.split(" ", 1)[0].rstrip(":")
    return {
        "duplicate": "exact duplicate",
        "contradictory": "contradictory label",
        "no_face": "no face",
    }.get(first, "unreadable")


def describe(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return counts and quantiles of the facts of one source and class."""
    facts = [sample.facts for sample in samples if sample.facts]
    quality = [fact.quality for fact in facts if fact.quality]
    margins = [fact.margin for fact in facts if fact.margin]
    return {
        "images": len(facts),
        "file_size": _quantiles([fact.file_size for fact in facts]),
        "sizes": _top_counts(Counter(f"{fact.width}x{fact.height}" for fact in facts)),
        "formats": _top_counts(Counter(fact.format for fact in facts)),
        "jpeg_quality": _quantiles(quality) if quality else None,
        "subsampling": _top_counts(Counter(fact.subsampling for fact in facts if fact.subsampling)),
        "sharpness": _quantiles([fact.sharpness for fact in facts]),
        "greyscale": sum(fact.greyscale for fact in facts) / len(facts),
        "faces": len(margins) / len(facts),
        "margin": _quantiles(margins) if margins else None,
    }


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    low, median, high = np.percentile(values, [5, 50, 95])
    return {"p5": round(float(low), 3), "median": round(float(median), 3), "p95": round(float(high), 3)}


def _top_counts(counts: Mapping[str, int], limit: int = 5) -> dict[str, int]:
    ranked = Counter(counts).most_common()
    rest = sum(count for _, count in ranked[limit:])
    return dict(ranked[:limit]) | ({"other": rest} if rest else {})
