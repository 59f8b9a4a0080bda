"""Arguments of ``trainer fit`` that no other command uses."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.spec import ResizeFilter
from trainer.recipes.recipe import RECIPES, Augmentation
from trainer.recipes.run_config import SplitRule

RecipeName = Annotated[
    str, typer.Option(help=f"One of {', '.join(RECIPES)}, or a recipe file NAME.toml as written by 'trainer new'.")
]
Out = Annotated[Path, typer.Option(help="Run folder to create, or to resume with --resume.", metavar="RUN")]
SplitOption = Annotated[
    SplitRule,
    typer.Option(help="stratified: 70/10/10/10 within each source and class; as-published: a single 80/20 split."),
]
OneClassGroups = Annotated[
    bool, typer.Option("--one-class-groups", help="Fail if a group holds both real and fake pictures.")
]
HoldoutSource = Annotated[
    list[str] | None,
    typer.Option(help="Source to hold out and score at the end. Repeatable.", metavar="NAME"),
]
Outliers = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of outliers, such as drawings: neither real nor fake, trained with target 0.5. Repeatable.",
        metavar="FOLDER",
    ),
]
Augment = Annotated[Augmentation | None, typer.Option(help="Augmentation. Default: from the recipe.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Number of epochs. Default: from the recipe.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Pictures per batch. Default: from the recipe.")]
LearningRate = Annotated[float | None, typer.Option(min=1e-9, max=1.0, help="Learning rate. Default: from the recipe.")]
ResizeFilterOption = Annotated[
    ResizeFilter | None,
    typer.Option(
        help="Filter of the resize to the input size, in training and in the service. Default: from the recipe."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any other setting of the recipe, for example reencoding.shrink=0.3. Repeatable.", metavar="N=V"
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, help="Random seed. Default: 42, or with --split as-published the published seed of the recipe."
    ),
]
SplitSeed = Annotated[
    int | None,
    typer.Option(
        min=0, help="Seed of the split only, so that runs with different seeds can share a split. Default: --seed."
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Resume after the last finished epoch of RUN.")]
Cache = Annotated[
    Path | None, typer.Option(help="Folder to keep decoded tensors in. Default: in RUN, removed at the end.")
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        max=256,
        help="Processes that augment pictures, to keep a GPU busy; 0: two threads. Unused without augmentation.",
    ),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write event files to RUN/tensorboard (requires the extra 'tensorboard').")
]
ModelVersion = Annotated[str | None, typer.Option(help="Version of the model. Default: today's date.")]
