"""``trainer fit``."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.spec import ResizeFilter
from trainer.cli.arguments import GROUPS_HELP, Data, FaceMarginOption, FramingOption, GroupChoice, SplitChoice
from trainer.common.errors import PeerLost, WorkerLost
from trainer.common.progress import console
from trainer.recipes.overrides import overridden
from trainer.recipes.recipe import RECIPES, Augmentation, changed_recipe
from trainer.recipes.recipe_files import named_recipe
from trainer.report.printing import print_table


def fit(
    data: Data,
    recipe: Annotated[
        str, typer.Option(help=f"One of {', '.join(RECIPES)}, or a file NAME.toml as 'trainer new' writes it.")
    ],
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
    outliers: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of drawings and the like, neither real nor fake: trained on as either; may be repeated.",
            metavar="FOLDER",
        ),
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
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="Any other setting of the recipe, as reencoding.shrink=0.3; may be repeated.", metavar="N=V"
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Default: 42, or the recipe's published seed with as-published.")
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the split alone; default: --seed. Runs of several seeds can share a split so."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after RUN's last finished epoch.")] = False,
    cache: Annotated[
        Path | None, typer.Option(help="Keep decoded tensors here; default: in RUN, removed at the end.")
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=0, max=256, help="Processes that augment pictures for a GPU, where the recipe augments; 0: two threads."
        ),
    ] = 0,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write event files into RUN/tensorboard (extra 'tensorboard')."),
    ] = False,
    model_version: Annotated[str | None, typer.Option(help="Version of the model; default: today's date.")] = None,
) -> None:
    """Fit a recipe on folders of faces; write RUN with the model, its figures and plots."""
    chosen = changed_recipe(
        named_recipe(recipe),
        augmentation=augment,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        resize_filter=resize_filter,
        framing=framing,
        face_margin=face_margin,
    )
    chosen = overridden(chosen, settings or ())
    from trainer.common.run import Run
    from trainer.training.fit import fit as run_fit
    from trainer.training.start import FitOptions
    from trainer.training.tensorboard import check_tensorboard

    if tensorboard:
        check_tensorboard()
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
        split_seed=split_seed,
        workers=workers,
        tensorboard=tensorboard,
        outliers=tuple(outliers or ()),
    )
    try:
        metrics = run_fit(options)
    except (OSError, PeerLost, WorkerLost, KeyboardInterrupt):
        if (options.run.checkpoints / "state.json").exists():
            console.print("the run can go on after its last finished epoch: the same command and --resume")
        raise
    if metrics:
        from trainer.report.evaluation_page import evaluation_table

        print_table(evaluation_table(metrics["test"]))
        parity = metrics["parity"]
        console.print(f"parity: largest logit difference {parity['max_difference']:.1e} over {parity['files']} files")
    console.print(f"written: {out}")
