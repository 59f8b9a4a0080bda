"""``trainer export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainer.common.run import Run
    from trainer.export.reduce import Reduced, Reduction


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.", metavar="RUN")],
    images: Annotated[
        list[Path] | None, typer.Option(help="Pictures for the parity check. Default: the test part of the run.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Convert model.onnx to RUN/model.int8.onnx, for CPUs.")] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Convert model.onnx to RUN/model.float16.onnx, for CUDA.")
    ] = False,
) -> None:
    """Export RUN/model.keras to RUN/model.onnx, after a check that the service's engine agrees with Keras.

    A run that was trained without TensorFlow, or interrupted after training, is calibrated and tested first. With
    --int8 or --fp16, write a smaller model instead, with its own temperature and thresholds, and print its speed, size
    and accuracy beside those of float32.
    """
    from trainer.common.run import Run

    if (int8 or fp16) and images:
        raise typer.BadParameter(
            "applies only to the float32 model: omit it with --int8 and --fp16", param_hint="--images"
        )
    if int8 or fp16:
        from trainer.export.reduce import reduce_run

        precisions: dict[Reduced, bool] = {"int8": int8, "float16": fp16}
        for precision, requested in precisions.items():
            if requested:
                _print_reduction(Run(run), precision, reduce_run(Run(run), precision))
        return
    from trainer.training.finish import export_run

    parity = export_run(Run(run), images or ())
    print(f"{run / 'model.onnx'}: largest logit difference {parity.max_difference:.1e} over {parity.files} files")


def _print_reduction(run: "Run", precision: "Reduced", reduction: "Reduction") -> None:
    from trainer.report.html import figure3

    def auc(area: float | None) -> str:
        return figure3(area) if area is None else f"{area:.4f}"

    print(
        f"{run.model_at(precision)}: {reduction.speedup:.2f} times as fast as float32 on one core here, "
        f"{reduction.milliseconds:.2f} ms per face; "
        f"{reduction.megabytes:.2f} MB instead of {reduction.float32_megabytes:.2f}, "
        f"test AUC {auc(reduction.auc)} instead of {auc(reduction.float32_auc)}, "
        f"{reduction.verdicts_changed:.1%} of the verdicts differ"
    )
