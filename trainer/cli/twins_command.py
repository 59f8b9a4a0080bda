"""``trainer twins``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trainer.cli.arguments import Data
from trainer.common.progress import console
from trainer.report.printing import print_left_out

Label = Annotated[Literal["real", "fake"], typer.Option(help="Which pictures of DATA, and so what the twins are.")]


def twins(
    data: Data,
    like: Annotated[
        list[Path], typer.Option(help="Data folder whose history they get; may be repeated.", metavar="DATA")
    ],
    out: Annotated[Path, typer.Option(help="Data folder to create.", metavar="DIR")],
    label: Label = "fake",
    most: Annotated[int | None, typer.Option(min=1, help="At most so many, drawn at random; default: all.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 42,
) -> None:
    """Put fakes through the byte history of photos, so that size and compression no longer tell them apart.

    Each is shrunk to the size of a picture of the other class drawn from --like, and saved with its quantisation tables
    and chroma subsampling. Nothing is enlarged or cut to another shape: what does not fit is left out, and counted.
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
        console.print(f"{left_out} pictures left out: smaller or of another shape than what they should resemble")
    console.print(f"written: {out}")
