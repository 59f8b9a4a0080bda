"""Preparation: a picture to the tensors that the model is shown."""

import io

import numpy as np
from PIL import Image

from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.preparation import prepare
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.model_settings import default_model


def saved(image: Image.Image, file_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def test_a_picture_is_prepared_the_same_way_every_time(astronaut):
    spec = Engine.load(default_model(), EngineOptions("cpu", 1)).spec
    payload = saved(astronaut, "JPEG")
    from service.contract.faces.framing import FacePolicy

    first, second = (
        prepare(decode(payload, Limits(), "apply"), spec.preprocessing, FacePolicy()).tensors for _ in range(2)
    )
    assert np.array_equal(first, second)
