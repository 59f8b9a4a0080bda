"""``trainer twins``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trainer.cli.arguments import Data
from trainer.common.progress import console
from trainer.report.printing import print_left_out

Label = Annotated[Literal["real", "fake"], typer.Option(help="Class of the pictures to process.")]


def twins(
    data: Data,
    like: Annotated[
        list[Path],
        typer.Option(help="Data folder whose compression and sizes are imitated. Repeatable.", metavar="DATA"),
    ],
    out: Annotated[Path, typer.Option(help="Data folder to create.", metavar="DIR")],
    label: Label = "fake",
    most: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of pictures, drawn at random. Default: all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 42,
) -> None:
    """Give pictures the sizes and compression of the other class, so that these no longer reveal the class.

    Each picture is shrunk to the size of a random picture of the other class from --like, and saved with its
    quantisation tables and chroma subsampling. Pictures are never enlarged or cropped; those that do not fit are left
    out and counted.
    """
    from trainer.common.files import refuse_existing
    from trainer.data.dataset import scan
    from trainer.data.twins import write_twins

    refuse_existing(out)
    originals, models = scan(data, one_class=True, facts=False), scan(like, one_class=True, facts=False)
    for dataset in (originals, models):
        print_left_out(dataset)
    left_out = write_twins(out, originals, models, label, most, seed)
    if left_out:
        console.print(f"{left_out} pictures left out: smaller than the pictures of --like or of another shape")
    console.print(f"written: {out}")
