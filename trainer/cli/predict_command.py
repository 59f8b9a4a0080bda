"""``trainer predict``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.contract.faces.face import MIN_FACE, FaceMode
from trainer.cli.arguments import Model


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="Picture files.", metavar="IMAGE")],
    faces: Annotated[FaceMode, typer.Option(help="Face mode, as SERVICE_FACES.")] = "report",
    min_face: Annotated[int, typer.Option(min=1, help="Minimum face size in pixels, as SERVICE_MIN_FACE.")] = MIN_FACE,
    check_recompression: Annotated[
        bool, typer.Option("--check-recompression", help="Check recompression, as SERVICE_CHECK_RECOMPRESSION.")
    ] = False,
) -> None:
    """Print the service's answer for each picture, one JSON object per line."""
    from service.contract.faces.framing import FacePolicy
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions
    from trainer.evaluation.predict_file import predict_file

    engine = Engine.load(model, EngineOptions("cpu"))
    policy = FacePolicy(faces, min_face=min_face, check_recompression=check_recompression)
    has_errors = False
    for path in images:
        answer = predict_file(engine, path, policy)
        has_errors |= "error" in answer
        print(json.dumps(answer), flush=True)
    if has_errors:
        raise typer.Exit(1)
