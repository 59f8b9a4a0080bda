"""``trainer publish``."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.spec import Precision
from trainer.cli.arguments import Elsewhere
from trainer.common.progress import console
from trainer.report.printing import print_left_out, print_table


def publish(
    run: Annotated[Path, typer.Argument(help="Finished run folder.", metavar="RUN")],
    elsewhere: Elsewhere = None,
    precision: Annotated[Precision, typer.Option(help="Which of the run's models; see export.")] = "float32",
    models: Annotated[Path, typer.Option(help="Folder of published models.", metavar="DIR")] = Path("models"),
    robustness: Annotated[
        int, typer.Option(min=1, help="Pictures of each source and class for tiers, flips and drawings.")
    ] = 100,
    check: Annotated[bool, typer.Option("--check", help="Measure and print the gates; publish nothing.")] = False,
) -> None:
    """Publish a run's model as the default, if every release gate is open; see docs/training.md for their limits.

    It is measured on the run's test part (AUC, tiers, calibration error, flips, drawings, real faces called fake) and
    on the data folders of --elsewhere, and so is the published one, unless that may have learned from the test part:
    then what it recorded of its own stands in. Both are timed in turn. A gate that is shut is named, nothing is
    written, and the exit status is 1, with --check too.
    """
    from rich.table import Table

    from trainer.common.run import Run
    from trainer.data.dataset import scan
    from trainer.release.gates import refused
    from trainer.release.publish import examine
    from trainer.release.publish import publish as write

    dataset = scan(elsewhere, one_class=True, facts=False) if elsewhere else None
    if dataset:
        print_left_out(dataset)
    candidate = examine(Run(run), models, dataset, robustness, precision)
    table = Table("gate", "this run", "limit", "published", "")
    for gate in candidate.gates:
        sign, before = (">=" if gate.higher_is_better else "<="), gate.published
        said = "–" if before is None else f"{before:.4g}"
        table.add_row(gate.name, gate.said, f"{sign} {gate.limit:.4g}", said, "" if gate.passed else "SHUT")
    print_table(table)
    if not candidate.same_test_part:
        console.print(
            "the published model put other pictures aside: of clean pictures, its own test part's figures stand there"
        )
    if candidate.first:
        console.print(f"nothing is published in '{models}': the aims alone count")
    if not check:
        console.print(f"published: {write(candidate, models)}")
    elif refused(candidate.gates):
        raise typer.Exit(1)
