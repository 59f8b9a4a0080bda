"""The arguments of ``trainer fit`` that no other command has."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.spec import ResizeFilter
from trainer.cli.arguments import GROUPS_HELP, GroupChoice, SplitChoice
from trainer.recipes.recipe import RECIPES, Augmentation

RecipeName = Annotated[
    str, typer.Option(help=f"One of {', '.join(RECIPES)}, or a file NAME.toml as 'trainer new' writes it.")
]
Out = Annotated[Path, typer.Option(help="Run folder to create, or to go on with.", metavar="RUN")]
SplitOption = Annotated[
    SplitChoice, typer.Option(help="70/10/10/10 by source and class, or the published single 80/20 cut.")
]
Groups = Annotated[GroupChoice, typer.Option(help=GROUPS_HELP)]
OneClassGroups = Annotated[
    bool, typer.Option("--one-class-groups", help="Refuse a group that holds real and fake pictures.")
]
HoldoutSource = Annotated[
    list[str] | None,
    typer.Option(help="Source to leave out and score at the end; may be repeated.", metavar="NAME"),
]
Outliers = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder of drawings and the like, neither real nor fake: trained on as either; may be repeated.",
        metavar="FOLDER",
    ),
]
Augment = Annotated[Augmentation | None, typer.Option(help="Default: the recipe's own.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Default: the recipe's own.")]
BatchSize = Annotated[int | None, typer.Option(min=1, help="Default: the recipe's own.")]
LearningRate = Annotated[float | None, typer.Option(min=1e-9, max=1.0, help="Default: the recipe's own.")]
ResizeFilterOption = Annotated[
    ResizeFilter | None, typer.Option(help="Of the way to the input size, also when served; default: the recipe's.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any other setting of the recipe, as reencoding.shrink=0.3; may be repeated.", metavar="N=V"
    ),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Default: 42, or the recipe's published seed with as-published.")]
SplitSeed = Annotated[
    int | None,
    typer.Option(min=0, help="Of the split alone; default: --seed. Runs of several seeds can share a split so."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after RUN's last finished epoch.")]
Cache = Annotated[Path | None, typer.Option(help="Keep decoded tensors here; default: in RUN, removed at the end.")]
Workers = Annotated[
    int,
    typer.Option(
        min=0, max=256, help="Processes that augment pictures for a GPU, where the recipe augments; 0: two threads."
    ),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write event files into RUN/tensorboard (extra 'tensorboard').")
]
ModelVersion = Annotated[str | None, typer.Option(help="Version of the model; default: today's date.")]
