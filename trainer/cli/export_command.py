"""``trainer export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainer.common.run import Run
    from trainer.export.reduce import Reduced, Reduction


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of a fit.", metavar="RUN")],
    images: Annotated[
        list[Path] | None, typer.Option(help="Pictures for the parity check; default: the run's own test part.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Write RUN/model.int8.onnx, for CPUs, from model.onnx.")] = False,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Write RUN/model.float16.onnx, for CUDA, from model.onnx.")
    ] = False,
) -> None:
    """Write RUN/model.onnx from RUN/model.keras, once the service's engine agrees with Keras.

    A run that was trained without TensorFlow, or broke off after training, is calibrated and tested first. With --int8
    or --fp16, write a smaller model instead, with temperature and thresholds of its own; say what it costs and gains.
    """
    from trainer.common.run import Run

    if (int8 or fp16) and images:
        raise typer.BadParameter("goes with the float32 model alone", param_hint="--images")
    if int8 or fp16:
        from trainer.export.reduce import reduce_run

        precisions: dict[Reduced, bool] = {"int8": int8, "float16": fp16}
        for precision, chosen in precisions.items():
            if chosen:
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
        f"{reduction.milliseconds:.2f} ms a face, {reduction.megabytes:.2f} MB of {reduction.float32_megabytes:.2f}; "
        f"test AUC {auc(reduction.auc)} of {auc(reduction.float32_auc)}, "
        f"{reduction.verdicts_changed:.1%} of the verdicts differ"
    )
