"""Arguments shared by several commands."""

from pathlib import Path
from typing import Annotated

import typer

from service.contract.spec import Framing
from trainer.recipes.run_config import GroupRule

Groups = Annotated[
    GroupRule,
    typer.Option(
        help="Pictures that stay in one part: near duplicates and lines of groups.csv; 'folders': also pictures in "
        "one folder."
    ),
]
Data = Annotated[list[Path], typer.Argument(help="Data folders, each with real/, fake/ or both.", metavar="DATA")]
FramingOption = Annotated[
    Framing | None,
    typer.Option(help="Input of the network: whole pictures, or a square around the face. Default: from the recipe."),
]
FaceMarginOption = Annotated[
    float | None,
    typer.Option(
        min=0.5,
        max=8,
        help="Side of the square, relative to the longer side of the face box. Default: from the recipe, or 0.8.",
    ),
]
Model = Annotated[Path, typer.Argument(help="Model file.", metavar="MODEL.onnx")]
Report = Annotated[Path | None, typer.Option(help="Folder to create for report.html and metrics.json.", metavar="DIR")]
Robustness = Annotated[
    int, typer.Option(min=0, help="Pictures per source and class for robustness metrics and drawings; 0 to skip them.")
]
UnseenBy = Annotated[
    list[Path] | None,
    typer.Option(
        help="Leave out pictures that this run was trained, validated or calibrated on. Repeatable.", metavar="RUN"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Elsewhere = Annotated[
    list[Path] | None,
    typer.Option(help="Data folder that no run has seen. Repeatable.", metavar="DATA"),
]
