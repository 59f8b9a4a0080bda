"""``trainer evaluate`` and ``trainer compare``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainer.cli.arguments import Data, Json, Model, Report, Robustness, UnseenBy
from trainer.common.errors import TrainerError
from trainer.common.files import new_folder, refuse_existing
from trainer.common.progress import console
from trainer.report.printing import print_left_out, print_robustness, print_table

if TYPE_CHECKING:
    from trainer.evaluation.assess import Assessment


def evaluate(
    model: Model,
    data: Data,
    report: Report = None,
    robustness: Robustness = 100,
    unseen_by: UnseenBy = None,
    json_output: Json = False,
) -> None:
    """Evaluate a model file on labelled folders with the service's own engine."""
    from trainer.report.evaluation_page import evaluation_table

    (assessment,) = _assess([model], data, report, robustness, unseen_by)
    if json_output:
        print(json.dumps(assessment.result, indent=2))
        return
    print_table(evaluation_table(assessment.result))
    print_robustness(assessment.result)


def compare(
    paths: Annotated[
        list[Path], typer.Argument(help="Two or more model files, then data folders.", metavar="MODEL.onnx... DATA...")
    ],
    report: Report = None,
    robustness: Robustness = 100,
    unseen_by: UnseenBy = None,
    json_output: Json = False,
) -> None:
    """Compare several model files on the same labelled folders."""
    from trainer.report.evaluation_page import comparison_table

    models = [path for path in paths if path.is_file() or (path.suffix == ".onnx" and not path.is_dir())]
    data = [path for path in paths if path not in models]
    if len(models) < 2 or not data:
        raise TrainerError(
            f"{len(models)} model files and {len(data)} data folders given: at least 2 and 1 are required"
        )
    assessments = _assess(models, data, report, robustness, unseen_by)
    if json_output:
        print(json.dumps({assessment.name: assessment.result for assessment in assessments}, indent=2))
        return
    print_table(comparison_table(assessments))


def _assess(
    models: list[Path], data: list[Path], report: Path | None, robust: int, unseen_by: list[Path] | None
) -> "list[Assessment]":
    from trainer.data.dataset import scan
    from trainer.evaluation.assess import assess, exclude_seen, load_models
    from trainer.report.evaluation_page import write_report

    refuse_existing(report)
    engines = load_models(models)
    dataset = scan(data, one_class=True, facts=bool(unseen_by))
    print_left_out(dataset)
    if unseen_by:
        total, dataset = len(dataset.samples), exclude_seen(dataset, unseen_by)
        console.print(f"{total - len(dataset.samples)} pictures that the runs have seen were left out")
    assessments = [assess(name, path, engine, dataset, robust) for name, (path, engine) in engines.items()]
    if report:
        with new_folder(report) as folder:
            write_report(assessments, folder)
        console.print(f"written: {report / 'report.html'}")
    return assessments
