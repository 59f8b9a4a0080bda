"""Options of the command line: choices and arguments that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SplitChoice(StrEnum):
    """Values of ``--split``."""

    STRATIFIED = "stratified"
    AS_PUBLISHED = "as-published"


class FilterChoice(StrEnum):
    """Values of ``--resize-filter``."""

    NEAREST = "nearest"
    BOX = "box"
    BILINEAR = "bilinear"
    HAMMING = "hamming"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class FramingChoice(StrEnum):
    """Values of ``--framing``."""

    WHOLE = "whole"
    FACE = "face"


class FacesChoice(StrEnum):
    """Values of ``--faces``."""

    OFF = "off"
    REPORT = "report"
    CROP = "crop"


class AugmentChoice(StrEnum):
    """Values of ``--augment``."""

    NONE = "none"
    CLASSIC = "classic"
    REENCODE = "reencode"


class GroupChoice(StrEnum):
    """Values of ``--groups``."""

    LISTED = "listed"
    FOLDERS = "folders"


GROUPS_HELP = "What stays on one side: near duplicates and lines of groups.csv; 'folders': also pictures of one folder."
Data = Annotated[
    list[Path], typer.Argument(help="Data folders; each holds real/ and fake/, or one of them.", metavar="DATA")
]
Framing = Annotated[
    FramingChoice | None,
    typer.Option(help="What the network sees: whole pictures, or a square around each face; default: the recipe's."),
]
FaceMargin = Annotated[
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
    int, typer.Option(min=0, help="Pictures of each source and class for the robustness figures; 0 for none.")
]
UnseenBy = Annotated[
    list[Path] | None,
    typer.Option(help="Leave out what this run was fitted, chosen or calibrated on; may be repeated.", metavar="RUN"),
]
