"""Model card (Mitchell et al. 2019): what a published model is, what it was measured to do, how to make it again."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from service.inference.engine import Engine
from trainer.recipes.overrides import changed
from trainer.recipes.recipe import RECIPES
from trainer.recipes.run_config import RunConfig
from trainer.report.html import write_text

_WRONG: Final = {
    "real_called_fake": "of its real faces are called fake",
    "fake_called_real": "of its fakes are called real",
    "uncertain": "come out `uncertain`",
}
_MANY: Final = 0.1


def write_card(
    path: Path,
    engine: Engine,
    config: RunConfig,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write a published model's card as Markdown.

    Args:
        path: of the card.
        engine: the model.
        config: of the run.
        metrics: the run's figures, with those of the release.
        history: one row an epoch.
    """
    release, counts = metrics["release"], config.dataset.counts
    write_text(
        path,
        "card.md",
        spec=engine.spec,
        sha256=engine.sha256,
        config=config,
        release=release,
        against=metrics.get("against_float32"),
        pictures=sum(counts.values()),
        data={s: {label: counts.get(f"{s}/{label}") for label in ("real", "fake")} for s in config.dataset.sources},
        tiers=[row for row in release["own_test_part"]["robustness"]["conditions"] if row["kind"] == "tier"],
        drawings=release["own_test_part"]["drawings"],
        outliers=config.outliers.by_source(),
        short=in_short(release),
        weaknesses=_weaknesses(release),
        command=command(config),
        minutes=sum(row["seconds"] for row in history) / 60,
    )


def in_short(release: Mapping[str, Any]) -> list[str]:
    """Return what the figures of a release mean, in sentences for who has to decide whether to use the model.

    Args:
        release: of the published ``metrics.json``.
    """
    own, elsewhere = release["own_test_part"], release["elsewhere"]
    said = [f"On pictures of the kinds that it learned from, kept aside: {_of_a_thousand(own['pooled'])}."]
    if elsewhere:
        said.append(f"On sources that it has never seen: {_of_a_thousand(elsewhere['pooled'])}.")
    worst = max(
        ((source, row) for result in (own, elsewhere or {"sources": {}}) for source, row in result["sources"].items()),
        key=lambda item: _mistakes(item[1]),
    )
    said.append(f"It does worst on {worst[0]}: {_of_a_thousand(worst[1])}.")
    flips = (own.get("robustness") or {}).get("flips", {}).get("rate")
    if flips is not None:
        said.append(f"Saved again at other sizes and qualities, {100 * flips:.0f} of 100 pictures get another verdict.")
    said.append("What is like none of these sources was not measured: other generators, face swaps, edited photos.")
    return said


def _of_a_thousand(row: Mapping[str, Any]) -> str:
    parts = []
    if row["real_called_fake"] is not None:
        parts.append(f"of 1,000 real faces it calls {1000 * row['real_called_fake']:.0f} fake")
    if row["fake_called_real"] is not None:
        parts.append(f"of 1,000 fakes it lets {1000 * row['fake_called_real']:.0f} pass as real")
    return ", ".join([*parts, f"and it is not sure of {1000 * row['uncertain']:.0f} of 1,000"])


def _mistakes(row: Mapping[str, Any]) -> tuple[float, float]:
    return max(row["real_called_fake"] or 0.0, row["fake_called_real"] or 0.0), row["uncertain"]


def command(config: RunConfig) -> str:
    """Return the command that makes a run again: its sources, its recipe, and every flag that is not the default's."""
    name = config.recipe.name
    flags = [f"--recipe {name}"]
    flags += [f"--set '{setting}'" for setting in changed(config.recipe.settings(), RECIPES[name].settings())]
    flags += [f"--split {config.split}"] if config.split != "stratified" else []
    flags += [f"--groups {config.groups}"] if config.groups not in (None, "listed") else []
    flags += [f"--holdout-source {shlex.quote(source)}" for source in config.holdout]
    flags += [f"--outliers {shlex.quote(source)}" for source in config.outliers.by_source()]
    flags += [f"--seed {config.seed}"] if config.seed != 42 else []
    flags += [f"--split-seed {config.seed_of_split}"] if config.seed_of_split != config.seed else []
    sources = " ".join(map(shlex.quote, config.dataset.sources))
    return f"trainer fit {sources} \\\n    {' '.join(flags)} --out RUN"


def _weaknesses(release: Mapping[str, Any]) -> dict[str, list[str]]:
    """Every source on which a tenth of the verdicts or more is wrong or left open."""
    said: dict[str, list[str]] = {}
    for result in (release["own_test_part"], release["elsewhere"] or {"sources": {}}):
        for source, row in result["sources"].items():
            bad = [f"{100 * row[key]:.0f} % {words}" for key, words in _WRONG.items() if (row[key] or 0) >= _MANY]
            if bad:
                said[source] = [*said.get(source, ()), *bad]
    return said
