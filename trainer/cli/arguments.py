"""Options of the command line: arguments that several commands share, and choices whose own modules load slowly."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.contract.spec import Framing


class SplitChoice(StrEnum):
    """Values of ``--split``."""

    STRATIFIED = "stratified"
    AS_PUBLISHED = "as-published"


class GroupChoice(StrEnum):
    """Values of ``--groups``."""

    LISTED = "listed"
    FOLDERS = "folders"


GROUPS_HELP = "What stays on one side: near duplicates and lines of groups.csv; 'folders': also pictures of one folder."
Data = Annotated[
    list[Path], typer.Argument(help="Data folders; each holds real/ and fake/, or one of them.", metavar="DATA")
]
FramingOption = Annotated[
    Framing | None,
    typer.Option(help="What the network sees: whole pictures, or a square around each face; default: the recipe's."),
]
FaceMarginOption = Annotated[
    float | None,
    typer.Option(
        min=0.5, max=8, help="Side of that square, of the face box's longer side; default: the recipe's, or .8."
    ),
]
Model = Annotated[Path, typer.Argument(help="Model file.", metavar="MODEL.onnx")]
Report = Annotated[
    Path | None, typer.Option(help="Folder to create, with report.html and metrics.json.", metavar="DIR")
]
Robustness = Annotated[
    int, typer.Option(min=0, help="Pictures of each source and class for robustness figures and drawings; 0 for none.")
]
UnseenBy = Annotated[
    list[Path] | None,
    typer.Option(help="Leave out what this run was fitted, chosen or calibrated on; may be repeated.", metavar="RUN"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Elsewhere = Annotated[
    list[Path] | None,
    typer.Option(help="Data folder that no run has seen; may be repeated.", metavar="DATA"),
]
