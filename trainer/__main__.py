"""Command line: ``trainer audit | fit | evaluate | compare | predict | export``.

Heavy imports stay inside the commands, so that ``--help`` and ``predict`` start at once.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # quiets most of TensorFlow's start-up notes

try:
    import typer
except ModuleNotFoundError as missing:
    sys.exit(f"trainer: {missing.name} is not installed; the extra 'trainer' has it: pip install '.[trainer]'")

from service.contract.faces import MIN_FACE, FaceMode
from service.contract.spec import ResizeFilter
from trainer.errors import PeerLost, TrainerError
from trainer.files import refuse_existing
from trainer.options import (
    GROUPS_HELP,
    Data,
    FaceMarginOption,
    FramingOption,
    GroupChoice,
    Model,
    Report,
    Robustness,
    SplitChoice,
    UnseenBy,
)
from trainer.printing import print_left_out, print_robustness, print_table
from trainer.progress import console
from trainer.recipes import RECIPES, Augmentation, RecipeError, get_recipe

if TYPE_CHECKING:
    from trainer.assess import Assessment

app = typer.Typer(
    help="Fit, evaluate and export detectors of AI-generated faces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def audit(
    data: Data,
    report: Annotated[
        Path | None, typer.Option(help="Folder to create, with audit.json and audit.html.", metavar="DIR")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Score again what this recipe's preprocessing leaves, and its weights.")
    ] = None,
    framing: FramingOption = None,
    face_margin: FaceMarginOption = None,
    groups: Annotated[GroupChoice, typer.Option(help=GROUPS_HELP)] = GroupChoice.LISTED,
) -> None:
    """Say what gives real and fake away besides the faces: duplicates, formats, sizes, and the cheat score."""
    from trainer.audit import audit as run_audit
    from trainer.audit_page import audit_tables, write_audit
    from trainer.dataset import scan
    from trainer.files import new_folder
    from trainer.framed import with_faces
    from trainer.groups import grouped
    from trainer.leftover import preprocessed

    chosen = get_recipe(recipe, framing=framing, face_margin=face_margin) if recipe else None
    if not chosen and (framing or face_margin):
        raise TrainerError("--framing and --face-margin say what a recipe does to pictures: name one with --recipe")
    refuse_existing(report)
    dataset = grouped(scan(data, one_class=True), groups.value)
    print_left_out(dataset)
    found = run_audit(dataset)
    for table in audit_tables(found):
        print_table(table)
    for sentence in found.findings:
        print(f"- {sentence}")
    left = None
    if chosen:
        try:
            left = preprocessed(with_faces(dataset, chosen).samples, chosen)
            print(f"- {left['sentence']}")
        except TrainerError as error:  # a class without a face is a finding, and the report is still wanted
            print(f"- {error}")
    if report:
        with new_folder(report) as folder:
            write_audit(found, dataset, folder / "audit.json", folder / "audit.html", left)
        console.print(f"written: {report}", highlight=False)


@app.command()
def fit(
    data: Data,
    recipe: Annotated[str, typer.Option(help=f"One of {', '.join(RECIPES)}.")],
    out: Annotated[Path, typer.Option(help="Run folder to create, or to go on with.", metavar="RUN")],
    split: Annotated[
        SplitChoice, typer.Option(help="70/10/10/10 by source and class, or the published single 80/20 cut.")
    ] = SplitChoice.STRATIFIED,
    groups: Annotated[GroupChoice, typer.Option(help=GROUPS_HELP)] = GroupChoice.LISTED,
    one_class_groups: Annotated[
        bool, typer.Option("--one-class-groups", help="Refuse a group that holds real and fake pictures.")
    ] = False,
    holdout_source: Annotated[
        list[str] | None,
        typer.Option(help="Source to leave out and score at the end; may be repeated.", metavar="NAME"),
    ] = None,
    augment: Annotated[Augmentation | None, typer.Option(help="Default: the recipe's own.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: the recipe's own.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Default: the recipe's own.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-9, max=1.0, help="Default: the recipe's own.")] = None,
    resize_filter: Annotated[
        ResizeFilter | None, typer.Option(help="Of the way to the input size, also when served; default: the recipe's.")
    ] = None,
    framing: FramingOption = None,
    face_margin: FaceMarginOption = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Default: 42, or the recipe's published seed with as-published.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after RUN's last finished epoch.")] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Keep decoded tensors here; default: in RUN, removed at the end.")
    ] = None,
    model_version: Annotated[str | None, typer.Option(help="Version of the model; default: today's date.")] = None,
) -> None:
    """Fit a recipe on folders of faces; write RUN with the model, its figures and plots."""
    from trainer.fit import fit as run_fit
    from trainer.run import Run
    from trainer.start import FitOptions

    chosen = get_recipe(
        recipe,
        augmentation=augment,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        resize_filter=resize_filter,
        framing=framing,
        face_margin=face_margin,
    )
    published = split is SplitChoice.AS_PUBLISHED
    options = FitOptions(
        roots=data,
        recipe=chosen,
        run=Run(out),
        seed=(chosen.published_seed if published else 42) if seed is None else seed,
        split_rule=split.value,
        groups=groups.value,
        one_class_groups=one_class_groups,
        holdout=tuple(holdout_source or ()),
        resume=resume,
        cache=cache,
        version=model_version,
    )
    try:
        metrics = run_fit(options)
    except (OSError, PeerLost, KeyboardInterrupt):
        if options.run.checkpoints.is_dir():
            console.print("the run can go on after its last finished epoch: the same command and --resume")
        raise
    if metrics:
        from trainer.evaluation_page import evaluation_table

        print_table(evaluation_table(metrics["test"]))
        parity = metrics["parity"]
        console.print(f"parity: largest logit difference {parity['max_difference']:.1e} over {parity['files']} files")
    console.print(f"written: {out}", highlight=False)


@app.command()
def evaluate(
    model: Model,
    data: Data,
    report: Report = None,
    robustness: Robustness = 100,
    unseen_by: UnseenBy = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score labelled folders with a model file, through the service's own engine."""
    from trainer.evaluation_page import evaluation_table

    (found,) = _assess([model], data, report, robustness, unseen_by)
    if json_output:
        print(json.dumps(found.result, indent=2))
        return
    print_table(evaluation_table(found.result))
    print_robustness(found.result)


@app.command()
def compare(
    paths: Annotated[
        list[Path], typer.Argument(help="Two or more model files, then data folders.", metavar="MODEL.onnx... DATA...")
    ],
    report: Report = None,
    robustness: Robustness = 100,
    unseen_by: UnseenBy = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Score the same labelled folders with several model files, side by side."""
    from trainer.evaluation_page import comparison_table

    models = [path for path in paths if path.suffix == ".onnx" or path.is_file()]
    data = [path for path in paths if path not in models]
    if len(models) < 2 or not data:
        raise TrainerError(f"{len(models)} model files and {len(data)} data folders: needs at least two and one")
    found = _assess(models, data, report, robustness, unseen_by)
    if json_output:
        print(json.dumps({assessment.name: assessment.result for assessment in found}, indent=2))
        return
    print_table(comparison_table(found))


def _assess(
    models: list[Path], data: list[Path], report: Path | None, robust: int, unseen_by: list[Path] | None
) -> "list[Assessment]":
    from trainer.assess import assess, load_models, without
    from trainer.dataset import scan
    from trainer.evaluation_page import write_report
    from trainer.files import new_folder

    refuse_existing(report)
    engines = load_models(models)
    dataset = scan(data, one_class=True, facts=bool(unseen_by))
    print_left_out(dataset)
    if unseen_by:
        before, dataset = len(dataset.samples), without(dataset, unseen_by)
        console.print(f"{before - len(dataset.samples)} pictures left out that the runs have seen", highlight=False)
    found = [assess(name, path, engine, dataset, robust) for name, (path, engine) in engines.items()]
    if report:
        with new_folder(report) as folder:
            write_report(found, folder)
        console.print(f"written: {report / 'report.html'}", highlight=False)
    return found


@app.command()
def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="Pictures.", metavar="IMAGE")],
    faces: Annotated[FaceMode, typer.Option(help="As SERVICE_FACES.")] = "report",
    min_face: Annotated[int, typer.Option(min=1, help="As SERVICE_MIN_FACE.")] = MIN_FACE,
    check_recompression: Annotated[
        bool, typer.Option("--check-recompression", help="As SERVICE_CHECK_RECOMPRESSION.")
    ] = False,
) -> None:
    """Print one JSON line a picture: the verdict that the service would give."""
    from service.contract.framing import FacePolicy
    from service.engine import Engine
    from trainer.predict import predict_file

    engine = Engine.load(model, "cpu")
    policy = FacePolicy(faces, min_face=min_face, check_recompression=check_recompression)
    refused = False
    for path in images:
        answer = predict_file(engine, path, policy)
        refused |= "error" in answer
        print(json.dumps(answer), flush=True)
    if refused:
        raise typer.Exit(1)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a fit.", metavar="RUN")],
    images: Annotated[
        list[Path] | None, typer.Option(help="Pictures for the parity check; default: the run's own test part.")
    ] = None,
) -> None:
    """Write RUN/model.onnx from RUN/model.keras, once the service's engine agrees with Keras.

    A run that was trained without TensorFlow, or broke off after training, is calibrated and tested first.
    """
    from trainer.finish import export_run
    from trainer.run import Run

    parity = export_run(Run(run), images or ())
    print(f"{run / 'model.onnx'}: largest logit difference {parity.max_difference:.1e} over {parity.files} files")


def main() -> None:
    """Run the command line; a refusal is one line and exit status 1, Ctrl-C is 130."""
    from service.contract.image import ImageError
    from service.contract.spec import SpecError
    from service.contract.yunet import FinderError
    from service.engine import InferenceError, ModelFileError

    try:
        app(prog_name="trainer")
    except PeerLost as error:
        _say(str(error))
        # JAX would wait at exit, for more than a minute, for the process that is gone.
        os._exit(1)
    except (TrainerError, RecipeError, SpecError, ImageError, ModelFileError, InferenceError, FinderError) as error:
        _fail(str(error))
    except OSError as error:
        where = f" '{error.filename}'" if error.filename else ""
        _fail(f"{error.strerror or error}{where}; nothing was left half-written")


def _fail(message: str) -> None:
    _say(message)
    sys.exit(1)


def _say(message: str) -> None:
    console.print(f"error: {message}", style="bold red", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
