"""``trainer rank``, ``export`` and ``publish``: from runs to the model that is served."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.contract.spec import Precision
from trainer.cli.arguments import Json
from trainer.common.progress import console
from trainer.report.printing import print_left_out, print_table

if TYPE_CHECKING:
    from trainer.common.run import Run
    from trainer.export.reduce import Reduced, Reduction

Elsewhere = Annotated[
    list[Path] | None,
    typer.Option(help="Data folder that no run has seen; may be repeated.", metavar="DATA"),
]


def rank(
    runs: Annotated[list[Path], typer.Argument(help="Finished run folders on the same data.", metavar="RUN...")],
    elsewhere: Elsewhere = None,
    json_output: Json = False,
) -> None:
    """Rank runs by their validation parts, clean, at JPEG 50, half and double size; no test part is looked at.

    Runs of one split are ranked on the same pictures; runs of several show how much the choice of pictures matters.
    """
    import json
    from dataclasses import asdict

    from rich.table import Table

    from trainer.data.dataset import scan
    from trainer.release.rank import cells
    from trainer.release.rank import rank as ranked

    dataset = scan(elsewhere, one_class=True, facts=False) if elsewhere else None
    if dataset:
        print_left_out(dataset)
    found = ranked(runs, dataset)
    if json_output:
        print(json.dumps([{**asdict(row), "mean_area": row.mean_area} for row in found], indent=2))
        return
    rows = [cells(row) for row in found]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns)
    for row in rows:
        table.add_row(*(row.get(name, "–") for name in columns))
    print_table(table)


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a fit.", metavar="RUN")],
    images: Annotated[
        list[Path] | None, typer.Option(help="Pictures for the parity check; default: the run's own test part.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Write RUN/model.int8.onnx, for CPUs, from model.onnx.")] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Write RUN/model.float16.onnx, for CUDA, from model.onnx.")
    ] = False,
) -> None:
    """Write RUN/model.onnx from RUN/model.keras, once the service's engine agrees with Keras.

    A run that was trained without TensorFlow, or broke off after training, is calibrated and tested first. With --int8
    or --fp16, write a smaller model instead, with temperature and thresholds of its own; say what it costs and gains.
    """
    from trainer.common.run import Run

    if (int8 or fp16) and images:
        raise typer.BadParameter("goes with the float32 model alone", param_hint="--images")
    if int8 or fp16:
        from trainer.export.reduce import reduce_run

        for precision in (("int8",) if int8 else ()) + (("float16",) if fp16 else ()):
            _say_reduction(Run(run), precision, reduce_run(Run(run), precision))
        return
    from trainer.training.finish import export_run

    parity = export_run(Run(run), images or ())
    print(f"{run / 'model.onnx'}: largest logit difference {parity.max_difference:.1e} over {parity.files} files")


def _say_reduction(run: "Run", precision: "Reduced", found: "Reduction") -> None:
    from trainer.report.html import figure3

    def auc(area: float | None) -> str:
        return figure3(area) if area is None else f"{area:.4f}"

    print(
        f"{run.model_at(precision)}: {found.speedup:.2f} times as fast as float32 on one core here, "
        f"{found.milliseconds:.2f} ms a face, {found.megabytes:.2f} MB of {found.float32_megabytes:.2f}; "
        f"test AUC {auc(found.auc)} of {auc(found.float32_auc)}, {found.verdicts_changed:.1%} of the verdicts differ"
    )


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
