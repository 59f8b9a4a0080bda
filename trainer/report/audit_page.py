"""Report of an audit: HTML page with sample grids, JSON file, tables for a terminal."""

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
    result: Audit,
    dataset: Dataset,
    json_path: Path,
    page_path: Path,
    after_preprocessing: dict[str, Any] | None = None,
    seed: int = 0,
) -> None:
    """Write ``audit.json`` and ``audit.html``, each atomically.

    Args:
        result: the audit.
        dataset: the audited pictures.
        json_path: path of the JSON file.
        page_path: path of the HTML page.
        after_preprocessing: audit of the preprocessed pictures, if any.
        seed: seed of the sample grids.
    """
    write_json(
        json_path, result.to_json() | ({"after_preprocessing": after_preprocessing} if after_preprocessing else {})
    )
    crossing = sorted(result.near, key=lambda pair: pair[0].label == pair[1].label)[:_GRID]
    first, second = (thumbnails([pair[index] for pair in crossing]) for index in (0, 1))
    pairs = [
        (first_sample, second_sample, *pictures)
        for (first_sample, second_sample), *pictures in zip(crossing, first, second, strict=True)
    ]
    write_page(
        page_path,
        "audit.html",
        title=f"Audit of {', '.join(result.sources)}",
        audit=result,
        images=len(dataset.samples),
        threshold=SEPARABLE,
        framing_threshold=FRAMING_SEPARABLE,
        tells=tells,
        cues=tuple(CUES),
        scores=_scores(result),
        grids=_grids(dataset, seed),
        pairs=pairs,
        after_preprocessing=after_preprocessing,
        distance=MAX_DISTANCE,
    )


def audit_tables(result: Audit) -> list[Table]:
    """Return an audit as tables for a terminal."""
    sources = Table(
        "source", "images", "sizes", "format", "JPEG quality", "kB", "sharpness", "greyscale", "faces", "margin"
    )
    for name, stratum in result.strata.items():
        quality = stratum["jpeg_quality"]
        sources.add_row(
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
    for name, shortcut in _scores(result):
        interval = "–" if shortcut.interval is None else f"{shortcut.interval[0]:.2f}–{shortcut.interval[1]:.2f}"
        cue_scores = (figure3(shortcut.cues.get(cue)) for cue in CUES)
        scores.add_row(
            escape(name), str(shortcut.real), str(shortcut.fake), figure3(shortcut.score), interval, *cue_scores
        )
    return [sources, scores]


def _scores(result: Audit) -> list[tuple[str, ShortcutScore]]:
    return [*(result.sources.items() if len(result.sources) > 1 else []), ("all together", result.pooled)]


def _grids(dataset: Dataset, seed: int) -> list[tuple[str, list[str]]]:
    strata: dict[str, list[Sample]] = {}
    for sample in dataset.samples:
        strata.setdefault(f"{sample.source}/{sample.label}", []).append(sample)
    samples = {
        name: random.Random(f"{seed}/{name}").sample(members, min(_GRID, len(members)))
        for name, members in sorted(strata.items())
    }
    return [(name, thumbnails(members)) for name, members in samples.items()]
