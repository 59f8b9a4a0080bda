"""``trainer export``: from a run to a model file."""

from pathlib import Path
from typing import Annotated

import typer


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
