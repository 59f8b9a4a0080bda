"""The tables and the plot of the side-by-side run."""

import json
import os
import platform
import statistics
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from tests.bench.serving.load import CONNECTIONS
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from tests.bench.serving.side_by_side import Measurements

RESULTS = REPOSITORY / "build" / "bench"
Limit = dict[int, list[tuple[float, float]]]


def _median(values: list[float]) -> float:
    return statistics.median(values)


def _rates(results: "dict[str, Measurements]", limit: Limit) -> Table:
    sides = list(limit)
    table = Table(
        "",
        *(f"{side} px" for side in sides),
        title=f"good answers a second, {CONNECTIONS} connections (share of the bare loop)",
    )
    bare = {side: _median([rate for rate, _ in limit[side]]) for side in sides}
    table.add_row("bare loop, no HTTP", *(f"{bare[side]:.0f}" for side in sides))
    for name, row in results.items():
        table.add_row(name, *(f"{row.rate(side):.0f} ({row.rate(side) / bare[side]:.2f})" for side in sides))
    return table


def _costs(results: "dict[str, Measurements]", limit: Limit, side: int) -> Table:
    table = Table(
        "",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "peak MiB",
        "ready s",
        title=f"{side} px, {CONNECTIONS} connections; start to first answer",
    )
    table.add_row("bare loop, no HTTP", "", "", f"{_median([cpu for _, cpu in limit[side]]):.2f}", "", "")
    for name, row in results.items():
        table.add_row(
            name,
            f"{_median([r.p50_ms for r in row.closed[side]]):.1f}",
            f"{_median([r.p99_ms for r in row.closed[side]]):.1f}",
            f"{_median(row.cpu_ms[side]):.2f}",
            f"{_median(row.peak_mib):.0f}",
            f"{_median(row.ready_s):.2f}",
        )
    return table


def _overload(results: "dict[str, Measurements]", side: int) -> Table:
    columns = ("p99 ms at .8", "p99 ms at 2", "p99 ratio", "goodput at 2", "of capacity", "refused", "broken", "unsent")
    table = Table(
        "",
        *columns,
        title=f"sent by the clock, {side} px: .8 and 2 times the row's own capacity; at most 400 open",
    )
    for name, row in results.items():
        calm = _median([r.percentile_ms(99) for r in row.calm])
        flood = _median([r.percentile_ms(99) for r in row.flooded])
        goodput = _median([r.goodput for r in row.flooded])
        sent = sum(r.sent for r in row.flooded)
        table.add_row(
            name,
            f"{calm:.0f}",
            f"{flood:.0f}",
            f"{flood / calm:.1f}",
            f"{goodput:.0f}",
            f"{goodput / row.rate(side):.2f}",
            f"{sum(r.refused for r in row.flooded) / sent:.0%}",
            f"{sum(r.broken for r in row.flooded) / sent:.0%}",
            f"{sum(r.unsent for r in row.flooded) / sent:.0%}",
        )
    return table


def _plot(results: "dict[str, Measurements]", limit: Limit, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(limit) + 1, figsize=(15, 4.5), sharey=True)
    names = list(results)
    for axis, side in zip(axes, limit, strict=False):
        bare = _median([rate for rate, _ in limit[side]])
        colours = ["tab:blue" if name.startswith("this") else "tab:gray" for name in names]
        axis.barh(names, [results[name].rate(side) for name in names], color=colours)
        axis.axvline(bare, color="tab:red", linestyle="--", label="bare loop")
        axis.set(title=f"{side} px", xlabel="good answers a second")
        axis.legend(loc="lower right")
    axes[-1].barh(
        names, [_median([r.percentile_ms(99) for r in results[name].flooded]) for name in names], color="tab:orange"
    )
    axes[-1].set(title="300 px at twice the capacity", xlabel="p99 of good answers, ms", xscale="log")
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write(results: "dict[str, Measurements]", limit: Limit, versions: dict[str, str]) -> None:
    """Print the tables, and write them and the plot to build/bench."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    middle = sorted(limit)[len(limit) // 2]
    console = Console(record=True, width=150)
    machine = f"{os.cpu_count()} processors, {platform.machine()}, Python {platform.python_version()}"
    console.print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}; {json.dumps(versions)[1:-1]}".replace('"', ""))
    for table in (_rates(results, limit), _costs(results, limit, middle), _overload(results, middle)):
        console.print(table)
    (RESULTS / "side_by_side.txt").write_text(console.export_text())
    _plot(results, limit, RESULTS / "side_by_side.png")
    console.print("tables and plot: build/bench")
