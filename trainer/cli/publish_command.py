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
    precision: Annotated[Precision, typer.Option(help="Precision of the model to publish; see export.")] = "float32",
    models: Annotated[Path, typer.Option(help="Folder of published models.", metavar="DIR")] = Path("models"),
    robustness: Annotated[
        int, typer.Option(min=1, help="Pictures per source and class for tiers, flips and drawings.")
    ] = 100,
    check: Annotated[bool, typer.Option("--check", help="Measure and print the gates without publishing.")] = False,
) -> None:
    """Publish a run's model as the default if all release gates pass; docs/training.md lists their limits.

    The model and the published one are measured on the run's test part (AUC, tiers, calibration error, flips, drawings,
    real faces called fake) and on the data folders of --elsewhere. If the published model may have been trained on the
    test part, the results recorded for its own test part are used instead. Both models are timed in alternation. If a
    gate fails, its name is printed, nothing is written, and the exit status is 1, also with --check.
    """
    from rich.table import Table

    from trainer.common.run import Run
    from trainer.data.dataset import scan
    from trainer.release.gates import failed_gates
    from trainer.release.publish import examine
    from trainer.release.publish import publish as write

    dataset = scan(elsewhere, one_class=True, facts=False) if elsewhere else None
    if dataset:
        print_left_out(dataset)
    candidate = examine(Run(run), models, dataset, robustness, precision)
    table = Table("gate", "this run", "limit", "published", "")
    for gate in candidate.gates:
        sign, published = (">=" if gate.higher_is_better else "<="), gate.published
        published_text = "–" if published is None else f"{published:.4g}"
        table.add_row(
            gate.name, gate.value_text, f"{sign} {gate.limit:.4g}", published_text, "" if gate.passed else "FAILED"
        )
    print_table(table)
    if not candidate.same_test_part:
        console.print(
            "the published model has another test part: its values on clean pictures are those recorded for that part"
        )
    if candidate.first:
        console.print(f"nothing is published in '{models}': only the fixed targets apply")
    if not check:
        console.print(f"published: {write(candidate, models)}")
    elif failed_gates(candidate.gates):
        raise typer.Exit(1)
