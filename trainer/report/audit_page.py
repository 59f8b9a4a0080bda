"""The audit for people and for programs: a page with sample grids, JSON, and a table in the terminal."""

import random
from pathlib import Path
from typing import Any, Final

from rich.markup import escape
from rich.table import Table

from trainer.audit.audit import Audit
from trainer.audit.shortcut_score import CUES, FRAMING_SEPARABLE, SEPARABLE, ShortcutScore, tells
from trainer.common.files import write_json
from trainer.data.dataset import Dataset, Sample
from trainer.data.duplicates import MAX_DISTANCE
from trainer.report.html import figure3, percent, thumbnails, write_page

_GRID: Final = 12


def write_audit(
    found: Audit, dataset: Dataset, json_path: Path, page_path: Path, left: dict[str, Any] | None = None, seed: int = 0
) -> None:
    """Write ``audit.json`` and ``audit.html``, each whole or not at all; ``left``: what preprocessing leaves."""
    write_json(json_path, found.to_json() | ({"after_preprocessing": left} if left else {}))
    crossing = sorted(found.near, key=lambda pair: pair[0].label == pair[1].label)[:_GRID]
    first, second = (thumbnails([pair[side] for pair in crossing]) for side in (0, 1))
    pairs = [(one, other, *pictures) for (one, other), *pictures in zip(crossing, first, second, strict=True)]
    write_page(
        page_path,
        "audit.html",
        title=f"Audit of {', '.join(found.sources)}",
        audit=found,
        images=len(dataset.samples),
        threshold=SEPARABLE,
        framing_threshold=FRAMING_SEPARABLE,
        tells=tells,
        cues=tuple(CUES),
        scores=_scores(found),
        grids=_grids(dataset, seed),
        pairs=pairs,
        left=left,
        distance=MAX_DISTANCE,
    )


def audit_tables(found: Audit) -> list[Table]:
    """Return the audit as tables for a terminal."""
    like = Table(
        "source", "images", "sizes", "format", "JPEG quality", "kB", "sharpness", "greyscale", "faces", "margin"
    )
    for name, stratum in found.strata.items():
        quality = stratum["jpeg_quality"]
        like.add_row(
            escape(name),
            str(stratum["images"]),
            ", ".join(list(stratum["sizes"])[:2]),
            ", ".join(stratum["formats"]),
            f"{quality['median']:.0f}" if quality else "–",
            f"{stratum['file_size']['median'] / 1000:.1f}",
            f"{stratum['sharpness']['median']:.2f}",
            percent(stratum["greyscale"]),
            percent(stratum["faces"]),
            f"{stratum['margin']['median']:.2f}" if stratum["margin"] else "–",
        )
    scores = Table("shortcut score", "real", "fake", "score", "95 %", *CUES)
    for name, score in _scores(found):
        interval = "–" if score.interval is None else f"{score.interval[0]:.2f}–{score.interval[1]:.2f}"
        alone = (figure3(score.cues.get(cue)) for cue in CUES)
        scores.add_row(escape(name), str(score.real), str(score.fake), figure3(score.score), interval, *alone)
    return [like, scores]


def _scores(found: Audit) -> list[tuple[str, ShortcutScore]]:
    return [*(found.sources.items() if len(found.sources) > 1 else []), ("all together", found.pooled)]


def _grids(dataset: Dataset, seed: int) -> list[tuple[str, list[str]]]:
    strata: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        strata.setdefault(f"{sample.source}/{sample.label}", []).append(sample)
    chosen = {
        name: random.Random(f"{seed}/{name}").sample(members, min(_GRID, len(members)))
        for name, members in sorted(strata.items())
    }
    return [(name, thumbnails(members)) for name, members in chosen.items()]
