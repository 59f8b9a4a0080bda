"""Findings of an audit in sentences, for the person who collected the pictures."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from trainer.audit.shortcut_score import SEPARABLE, ShortcutScore, tells
from trainer.data.dataset import Sample
from trainer.data.picture_facts import Facts

_MAX_CUES: Final = 3
_NOTABLE_GREY: Final = 0.05


def sentences(
    samples: Sequence[Sample],
    pooled: ShortcutScore,
    sources: dict[str, ShortcutScore],
    near: Sequence[tuple[Sample, Sample]],
    left_out: Sequence[dict[str, str]],
) -> list[str]:
    """Return the findings as sentences, most important first."""
    findings = [_overall(pooled), *(cue_sentences(samples, pooled) if pooled.verdict == "separable" else [])]
    if len(sources) > 1:
        for name, score in sources.items():
            findings += _of_source(name, score, [s for s in samples if s.source == name])
    crossing = sum(first.label != second.label for first, second in near)
    if crossing:
        findings.append(
            f"{_count(crossing, 'pair')} of near duplicates across the classes: one of a pair may be mislabelled."
        )
    if near:
        findings.append(f"{_count(len(near), 'pair')} of near duplicates; a stratified split keeps each on one side.")
    for kind, count in Counter(_reason(entry) for entry in left_out).items():
        findings.append(f"{_count(count, 'file')} left out: {kind}.")
    return findings


def _overall(pooled: ShortcutScore) -> str:
    if pooled.score is None:
        return f"{pooled.real} real and {pooled.fake} fake pictures are too few for a shortcut score."
    if pooled.score > SEPARABLE:
        caution = "" if pooled.verdict == "separable" else " With so few pictures this may be chance."
        return (
            f"The classes can be told apart without looking at a face: shortcut score {pooled.score:.2f} "
            f"(0.5 is chance; above {SEPARABLE:.2f} a network may learn the collection, not the faces).{caution}"
        )
    if pooled.verdict == "separable":
        return f"The classes can be told apart by their framing; shortcut score {pooled.score:.2f}."
    return f"The cues that the audit measures do not separate the classes: shortcut score {pooled.score:.2f}."


def _of_source(name: str, score: ShortcutScore, samples: Sequence[Sample]) -> list[str]:
    labels = sorted({sample.label for sample in samples})
    if len(labels) == 1:
        separating = ", ".join(cue for cue, auc in score.cues.items() if tells(cue, auc))
        against = f" (shortcut score {score.score:.2f} against the other class" if score.score is not None else ""
        against += f", by {separating})" if against and separating else ")" if against else ""
        return [f"{name} holds {labels[0]} pictures only, so every cue of the source is a cue of the class{against}."]
    if score.score is not None and score.verdict == "separable":
        best = " and ".join(cue for cue, auc in score.cues.items() if tells(cue, auc)) or "no single cue"
        cues = cue_sentences(samples, score)
        return [f"{name} alone: shortcut score {score.score:.2f}, by {best}. " + " ".join(cues)]
    return []


def cue_sentences(samples: Sequence[Sample], score: ShortcutScore) -> list[str]:
    """Return a sentence for each cue that separates the classes on its own."""
    real = [s.facts for s in samples if s.facts and s.label == "real"]
    fake = [s.facts for s in samples if s.facts and s.label == "fake"]
    separating = [(cue, auc) for cue, auc in score.cues.items() if tells(cue, auc)][:_MAX_CUES]
    findings = [
        f"{cue[0].upper() + cue[1:]} separates the classes (AUC {auc:.2f} alone): {_difference(cue, real, fake)}."
        for cue, auc in separating
    ]
    shares = [float(np.mean([fact.greyscale for fact in facts])) for facts in (real, fake)]
    if abs(shares[0] - shares[1]) >= _NOTABLE_GREY and "greyscale" not in dict(separating):
        findings.append(f"Greyscale differs: {_difference('greyscale', real, fake)}.")
    return findings or ["No single cue separates the classes, but all cues together do."]


def _difference(cue: str, real: Sequence[Facts], fake: Sequence[Facts]) -> str:
    def median(name: str) -> tuple[float, float]:
        values = ([getattr(fact, name) for fact in facts] for facts in (real, fake))
        return tuple(float(np.median([v for v in of_class if v is not None])) for of_class in values)  # type: ignore[return-value]

    def commonest(values: list[list[str]]) -> str:
        modes = [Counter(of_class).most_common(1)[0] for of_class in values]
        shares = [
            f"{value} ({count / len(of_class):.0%})" for (value, count), of_class in zip(modes, values, strict=True)
        ]
        return f"reals are mostly {shares[0]}, fakes mostly {shares[1]}"

    both = (real, fake)
    if cue == "file size":
        of_real, of_fake = median("file_size")
        return f"median {of_real / 1000:.1f} kB for reals, {of_fake / 1000:.1f} kB for fakes"
    if cue == "sharpness":
        of_real, of_fake = median("sharpness")
        return (
            f"{'fakes' if of_fake > of_real else 'reals'} are sharper "
            f"(median {of_real:.2f} for reals, {of_fake:.2f} for fakes)"
        )
    if cue == "mean colour":
        return "; ".join(
            f"{name} {of_real:.0f} for reals, {of_fake:.0f} for fakes"
            for name in ("red", "green", "blue")
            for of_real, of_fake in [median(name)]
        )
    if cue == "greyscale":
        of_real, of_fake = (float(np.mean([fact.greyscale for fact in facts])) for facts in both)
        return f"{of_real:.0%} of reals are greyscale, {of_fake:.0%} of fakes"
    if cue == "framing":
        if any(all(fact.margin is None for fact in facts) for facts in both):
            return "no face is found in one of the classes"
        of_real, of_fake = median("margin")
        return f"a real picture is {of_real:.2f} times as wide as its face, a fake one {of_fake:.2f} times"
    if cue == "dimensions":
        return commonest([[f"{fact.width} x {fact.height}" for fact in facts] for facts in both])
    if cue == "format":
        return commonest([[fact.format for fact in facts] for facts in both])
    return commonest(
        [
            [f"quality {fact.quality} {fact.subsampling}".strip() if fact.quality else "not JPEG" for fact in facts]
            for facts in both
        ]
    )


def _reason(entry: dict[str, str]) -> str:
    """Return why a file was left out; for a duplicate, also whether the other copy is in the same source."""
    if "twin" not in entry:
        return entry["kind"]
    same_source = entry["twin"].rsplit("/", 1)[0] == entry["stratum"].rsplit("/", 1)[0]
    return f"{entry['kind']}, {'within a source' if same_source else 'across sources'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
