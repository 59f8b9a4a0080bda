"""Model card (Mitchell et al. 2019): data, results, known weaknesses and training command of a published model."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from service.inference.engine import Engine
from trainer.recipes.overrides import changed
from trainer.recipes.recipe import RECIPES
from trainer.recipes.run_config import RunConfig
from trainer.report.html import write_text

_WEAKNESS_TEXTS: Final = {
    "real_called_fake": "of its real faces are called fake",
    "fake_called_real": "of its fakes are called real",
    "uncertain": "of its verdicts are `uncertain`",
}
_WEAKNESS_SHARE: Final = 0.1


def write_card(
    path: Path,
    engine: Engine,
    config: RunConfig,
    metrics: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
) -> None:
    """Write the card of a published model as Markdown.

    Args:
        path: path of the card.
        engine: the loaded model.
        config: configuration of the run.
        metrics: metrics of the run, with the record of the release.
        history: one row per epoch.
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
        summary=summary_sentences(release),
        weaknesses=_weaknesses(release),
        command=command(config),
        minutes=sum(row["seconds"] for row in history) / 60,
    )


def summary_sentences(release: Mapping[str, Any]) -> list[str]:
    """Summarise the results of a release for readers who decide whether to use the model.

    Args:
        release: release record of the published ``metrics.json``.
    """
    own, elsewhere = release["own_test_part"], release["elsewhere"]
    sentences = [f"On test pictures from its training sources: {_per_thousand(own['pooled'])}."]
    if elsewhere:
        sentences.append(f"On sources that it was not trained on: {_per_thousand(elsewhere['pooled'])}.")
    worst = max(
        ((source, row) for result in (own, elsewhere or {"sources": {}}) for source, row in result["sources"].items()),
        key=lambda item: _error_rates(item[1]),
    )
    sentences.append(f"Its worst source is {worst[0]}: {_per_thousand(worst[1])}.")
    flips = (own.get("robustness") or {}).get("flips", {}).get("rate")
    if flips is not None:
        sentences.append(
            f"Re-encoding at other sizes and qualities changes the verdict of {100 * flips:.0f} of 100 pictures."
        )
    sentences.append("Pictures unlike these sources were not measured: other generators, face swaps, edited photos.")
    return sentences


def _per_thousand(row: Mapping[str, Any]) -> str:
    clauses = []
    if row["real_called_fake"] is not None:
        clauses.append(f"of 1,000 real faces it calls {1000 * row['real_called_fake']:.0f} fake")
    if row["fake_called_real"] is not None:
        clauses.append(f"of 1,000 fakes it calls {1000 * row['fake_called_real']:.0f} real")
    return ", ".join([*clauses, f"and of 1,000 pictures it calls {1000 * row['uncertain']:.0f} uncertain"])


def _error_rates(row: Mapping[str, Any]) -> tuple[float, float]:
    return max(row["real_called_fake"] or 0.0, row["fake_called_real"] or 0.0), row["uncertain"]


def command(config: RunConfig) -> str:
    """Return the command that reproduces a run: sources, recipe and all flags that differ from the defaults."""
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
    """Return the sources on which at least 10 % of a class are called wrongly or of the verdicts are uncertain."""
    weaknesses: dict[str, list[str]] = {}
    for result in (release["own_test_part"], release["elsewhere"] or {"sources": {}}):
        for source, row in result["sources"].items():
            texts = [
                f"{100 * row[key]:.0f} % {text}"
                for key, text in _WEAKNESS_TEXTS.items()
                if (row[key] or 0) >= _WEAKNESS_SHARE
            ]
            if texts:
                weaknesses[source] = [*weaknesses.get(source, ()), *texts]
    return weaknesses
