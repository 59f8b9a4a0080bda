"""``trainer predict``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from service.contract.faces.face import MIN_FACE, FaceMode
from trainer.cli.arguments import Model


def predict(
    model: Model,
    images: Annotated[list[Path], typer.Argument(help="Pictures.", metavar="IMAGE")],
    faces: Annotated[FaceMode, typer.Option(help="As SERVICE_FACES.")] = "report",
    min_face: Annotated[int, typer.Option(min=1, help="As SERVICE_MIN_FACE.")] = MIN_FACE,
    check_recompression: Annotated[
        bool, typer.Option("--check-recompression", help="As SERVICE_CHECK_RECOMPRESSION.")
    ] = False,
) -> None:
    """Print one JSON line a picture: the verdict that the service would give."""
    from service.contract.faces.framing import FacePolicy
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions
    from trainer.evaluation.predict_file import predict_file

    engine = Engine.load(model, EngineOptions("cpu"))
    policy = FacePolicy(faces, min_face=min_face, check_recompression=check_recompression)
    refused = False
    for path in images:
        answer = predict_file(engine, path, policy)
        refused |= "error" in answer
        print(json.dumps(answer), flush=True)
    if refused:
        raise typer.Exit(1)
