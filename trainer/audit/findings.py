"""Wording of an audit: what the numbers mean, in sentences for the person who collected the pictures."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from trainer.audit.shortcut_score import SEPARABLE, Cheat, tells
from trainer.data.dataset import Sample
from trainer.data.picture_facts import Facts

_MOST_CUES: Final = 3
_NOTABLE_GREY: Final = 0.05


def sentences(
    samples: Sequence[Sample],
    pooled: Cheat,
    sources: dict[str, Cheat],
    near: Sequence[tuple[Sample, Sample]],
    left_out: Sequence[dict[str, str]],
) -> list[str]:
    """Return the findings in words, most important first."""
    found = [_overall(pooled), *(cue_sentences(samples, pooled) if pooled.verdict == "separable" else [])]
    if len(sources) > 1:
        for name, score in sources.items():
            found += _of_source(name, score, [s for s in samples if s.source == name])
    crossing = sum(one.label != other.label for one, other in near)
    if crossing:
        found.append(
            f"{_count(crossing, 'pair')} of near duplicates across the classes: one of a pair may be mislabelled."
        )
    if near:
        found.append(f"{_count(len(near), 'pair')} of near duplicates; a stratified split keeps each on one side.")
    for kind, count in Counter(_where(entry) for entry in left_out).items():
        found.append(f"{_count(count, 'file')} left out: {kind}.")
    return found


def _overall(pooled: Cheat) -> str:
    if pooled.score is None:
        return f"{pooled.real} real and {pooled.fake} fake pictures are too few for a cheat score."
    if pooled.score > SEPARABLE:
        caution = "" if pooled.verdict == "separable" else " With so few pictures that may be chance."
        return (
            f"The classes can be told apart without looking at a face: cheat score {_short(pooled.score)} "
            f"(.5 is nothing, above {_short(SEPARABLE)} a network may learn the collection instead).{caution}"
        )
    if pooled.verdict == "separable":
        return f"The classes can be told apart by how their pictures are framed; cheat score {_short(pooled.score)}."
    return f"What the audit can see does not give the classes away: cheat score {_short(pooled.score)}."


def _of_source(name: str, score: Cheat, samples: Sequence[Sample]) -> list[str]:
    labels = sorted({sample.label for sample in samples})
    if len(labels) == 1:
        telling = ", ".join(cue for cue, auc in score.cues.items() if tells(cue, auc))
        against = (
            f" (cheat score {_short(score.score)} against the others' other class" if score.score is not None else ""
        )
        against += f", by {telling})" if against and telling else ")" if against else ""
        return [f"{name} holds {labels[0]} pictures only, so whatever marks it marks that class{against}."]
    if score.score is not None and score.verdict == "separable":
        best = " and ".join(cue for cue, auc in score.cues.items() if tells(cue, auc)) or "no single cue"
        cues = cue_sentences(samples, score)
        return [f"{name} by itself: cheat score {_short(score.score)}, by {best}. " + " ".join(cues)]
    return []


def cue_sentences(samples: Sequence[Sample], score: Cheat) -> list[str]:
    """Return a sentence for each cue that tells the classes apart by itself."""
    real = [s.facts for s in samples if s.facts and s.label == "real"]
    fake = [s.facts for s in samples if s.facts and s.label == "fake"]
    telling = [(cue, auc) for cue, auc in score.cues.items() if tells(cue, auc)][:_MOST_CUES]
    found = [
        f"{cue[0].upper() + cue[1:]} gives it away (AUC {_short(auc)} alone): {_how(cue, real, fake)}."
        for cue, auc in telling
    ]
    shares = [float(np.mean([fact.greyscale for fact in facts])) for facts in (real, fake)]
    if abs(shares[0] - shares[1]) >= _NOTABLE_GREY and "greyscale" not in dict(telling):
        found.append(f"Greyscale differs: {_how('greyscale', real, fake)}.")
    return found or ["No single cue does it; together they do."]


def _how(cue: str, real: Sequence[Facts], fake: Sequence[Facts]) -> str:
    def median(name: str) -> tuple[float, float]:
        values = ([getattr(fact, name) for fact in facts] for facts in (real, fake))
        return tuple(float(np.median([v for v in of_class if v is not None])) for of_class in values)  # type: ignore[return-value]

    def most(values: list[list[str]]) -> str:
        named = [Counter(of_class).most_common(1)[0] for of_class in values]
        shares = [
            f"{value} ({count / len(of_class):.0%})" for (value, count), of_class in zip(named, values, strict=True)
        ]
        return f"reals are mostly {shares[0]}, fakes mostly {shares[1]}"

    both = (real, fake)
    if cue == "file size":
        one, other = median("file_size")
        return f"median {one / 1000:.1f} kB for reals, {other / 1000:.1f} kB for fakes"
    if cue == "sharpness":
        one, other = median("sharpness")
        return f"{'fakes' if other > one else 'reals'} are sharper (median {one:.2f} for reals, {other:.2f} for fakes)"
    if cue == "mean colour":
        return "; ".join(
            f"{name} {one:.0f} against {other:.0f}"
            for name in ("red", "green", "blue")
            for one, other in [median(name)]
        )
    if cue == "greyscale":
        one, other = (float(np.mean([fact.greyscale for fact in facts])) for facts in both)
        return f"{one:.0%} of reals are greyscale, {other:.0%} of fakes"
    if cue == "framing":
        if any(all(fact.margin is None for fact in facts) for facts in both):
            return "in one class no face is found"
        one, other = median("margin")
        return f"a real picture is {one:.2f} times as wide as its face, a fake one {other:.2f} times"
    if cue == "dimensions":
        return most([[f"{fact.width} x {fact.height}" for fact in facts] for facts in both])
    if cue == "format":
        return most([[fact.format for fact in facts] for facts in both])
    return most(
        [
            [f"quality {fact.quality} {fact.subsampling}".strip() if fact.quality else "not JPEG" for fact in facts]
            for facts in both
        ]
    )


def _short(value: float) -> str:
    return f"{value:.2f}".lstrip("0") if value < 1 else "1.00"


def _where(entry: dict[str, str]) -> str:
    """Say what was wrong with a file left out, and of a duplicate, where its twin is."""
    if "twin" not in entry:
        return entry["kind"]
    same_source = entry["twin"].rsplit("/", 1)[0] == entry["stratum"].rsplit("/", 1)[0]
    return f"{entry['kind']}, {'within a source' if same_source else 'across sources'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
