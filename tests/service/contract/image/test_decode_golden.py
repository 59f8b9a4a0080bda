"""Decoded pixels are those that the version number stands for: cached training tensors are kept by it."""

import base64
import hashlib
import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from service.contract.faces.face import FINDER, Face
from service.contract.faces.framing import FRAMING_VERSION, frame
from service.contract.image.decode import DECODE_VERSION, decode
from service.contract.image.image_errors import Limits
from service.contract.image.resize import to_tensor
from service.contract.spec import Preprocessing
from tests.service.contract.image.pictures import png

# Each kind of file, as base64, and the first digits of the SHA-256 of its pixels.
PICTURES = {
    "jpeg_420": (
        "27a94eea2a98fb9c",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5a"
        "YVpQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAAR"
        "CAAkACgDASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEG"
        "E1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWG"
        "h4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEB"
        "AQEBAQAAAAAAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYk"
        "NOEl8RcYGRomJygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0"
        "tba3uLm6wsPExcbHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwDz2OD2rXjg9qtxwe1RR2/tXdOt/Zn97m+V"
        "rff3M8PiOcqRwe1a0cHtVyO39qijg9q5p1v7M/vc3ytb7+57eHxHOU47f2oro44Paiud5X/08/D/AIJ7FPGaGDHB7Vrxwe1XI7f2qGOD2rOd"
        "b+zP73N8rW+/ufmOHxHOVI7f2rXjg9qtxwe1RRwe1c0639mf3ub5Wt9/c9vD4jnKkcHtRXRRwe1Fc7yv/p5+H/BPYp4zQ5+NF9K140X0ooq8"
        "o+38v1Pzqm9iGNF9K140X0oormyj7fy/U9um9iKNF9KKKK+ae57lN6H/2Q==",
    ),
    "jpeg_444_progressive": (
        "d36217fbe6029775",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVtVkVGZIhlbXd7gYKBTmCN"
        "l4x9lnN+gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wgAR"
        "CAAkACgDAREAAhEBAxEB/8QAGQAAAwEBAQAAAAAAAAAAAAAAAgMEAQAF/8QAGAEBAQEBAQAAAAAAAAAAAAAABQQBAgD/2gAMAwEAAhADEAAA"
        "AfJ59QjolUPS3CqMWFwqh6WiVRQl1KcXQlolUUJaJVHLCiVQ9LcKoel1KeY9HRLooR0S6P/EABYQAQEBAAAAAAAAAAAAAAAAABEAIP/aAAgB"
        "AQABBQIiIiIiIiIiIiIjX//EABURAQEAAAAAAAAAAAAAAAAAAAEA/9oACAEDAQE/ARhhhhhhhhhhhhhhhhhhhiIiL//EABYRAQEBAAAAAAAA"
        "AAAAAAAAABEAIP/aAAgBAgEBPwFmZmZmZmZmZmZnX//EABQQAQAAAAAAAAAAAAAAAAAAAED/2gAIAQEABj8CT//EABUQAQEAAAAAAAAAAAAA"
        "AAAAAAEA/9oACAEBAAE/ISEIQhCEIQhCEIQhCECCCCC//9oADAMBAAIAAwAAABCPV9XjHFlVweOf/8QAFhEBAQEAAAAAAAAAAAAAAAAAAAFA"
        "/9oACAEDAQE/EMgAAAAAAUpSlP/EABURAQEAAAAAAAAAAAAAAAAAAAEA/9oACAECAQE/EGMYxjGMYxjGMYxjGMWWWWW//8QAFhABAQEAAAAA"
        "AAAAAAAAAAAAAAFA/9oACAEBAAE/EMiqqqqqqwQQQQf/2Q==",
    ),
    "jpeg_grey": (
        "076788391f95bd4d",
        "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1x"
        "eXBkeFxlZ2P/wAALCAAkACgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQR"
        "BRIhMUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4"
        "eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEB"
        "AAA/AOJSH2rTSH2qNIfatJIfao0h9qRIfao0h9q00h9qiSH2rTSH2rHSH2rTSH2qNIfatJIfao0h9qRIfao0h9q0kh9qjSH2rTSH2rFRBWki"
        "Co0UVpIoqNEFf//Z",
    ),
    "jpeg_cmyk": (
        "b82da4280e6c1aa4",
        "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAbEhQXFBEbFxYXHhwbIChCKyglJShROj0wQmBVZWRfVV1baniZgWpxkHNbXYW1hpCeo6utq2eAvMm6"
        "pseZqKuk/8AAFAgAJAAoBEMRAE0RAFkRAEsRAP/EAB8AAAEFAQEBAQEBAAAAAAAAAAABAgMEBQYHCAkKC//EALUQAAIBAwMCBAMFBQQEAAAB"
        "fQECAwAEEQUSITFBBhNRYQcicRQygZGhCCNCscEVUtHwJDNicoIJChYXGBkaJSYnKCkqNDU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hp"
        "anN0dXZ3eHl6g4SFhoeIiYqSk5SVlpeYmZqio6Slpqeoqaqys7S1tre4ubrCw8TFxsfIycrS09TV1tfY2drh4uPk5ebn6Onq8fLz9PX29/j5"
        "+v/aAA4EQwBNAFkASwAAPwDn4awPJ9q5mumq/DR5PtXd0Veho8n2rhKKvQ0eT7V3dFXoaPJ9q4SiuGhrR8n2ru6Kvw0eT7VwlFXoaPJ9q7ui"
        "r0NHk+1cJRV6Gjyfau7orhoa0fJ9q4Sir8NHk+1d3RV6GjyfauEoq9DR5PtXd0Veho8n2rhKK4aGtDyfau7oq/DR5PtXCUVeho8n2ru6KvQ0"
        "eT7VwlFXoaPJ9q7uiuGhq9sFcJRV+GjYK7uir0NGwVwlFXoaNgru6KvQ0bBXCUV//9k=",
    ),
    "png": (
        "e24ac10d26d88486",
        "iVBORw0KGgoAAAANSUhEUgAAACgAAAAkCAIAAAB0Xu9BAAAAVElEQVR4nO3VQQoAIAhE0QmiruT9Vx2rC+ROifKLKxt4IIRN0jj3cuYWku+a"
        "ulLAwF/Cy3kyZx6TL7lqYOA0OPe/evmSqwYGToO5x8DA78Pc48/hDaONDm3Y8rxuAAAAAElFTkSuQmCC",
    ),
    "png_palette": (
        "7c0a264cb0e72ecb",
        "iVBORw0KGgoAAAANSUhEUgAAACgAAAAkBAMAAAAJEmUlAAAAGFBMVEWu1mk21meuk1c2k1uuVHeuGUw2VHA2GVQiQW1nAAAAa0lEQVR4nL2S"
        "yw2AIAxAXw0LsAIrOJzLsQIrEDeACcADlHjAxIPyLv2kad+hctApJwmwgAFGoWxMWNY0qpNKanHpdQAP7EAA3NOk7DpVMw6Iyz3DrKl4mrzY"
        "nsSfPQ19+R0Zj1Xz253ymdIF34cYDDyILnkAAAAASUVORK5CYII=",
    ),
    "webp": (
        "88ce88abffb47629",
        "UklGRugAAABXRUJQVlA4INwAAACQCACdASooACQAPsVMoEu/pCM/uNkoA/AYiWwDJAG+9XdKbof4086ZrFzHEL/rvhPPlsvkvfvhEy49oIo7"
        "Yt+Ht3qfs63fPt+G8qRUAAD+9uCx/5tj7uo/sawKOgUpa2YbxvxwRy1//ZBx5VdoDlVaRf7JM1W/g0hroNAoR0tsIJuXKRwL1fnzzDa4Jc9k"
        "L52GhYwXLC5fhr2H//2B6CR+RJs/ixg8YQuK7zXWfIzocfeX/5QcTyfGnUfnHcDW012nxf/3Kpt6WGnb+Yjw4Tcb3K9j/s0+k5siAAAA",
    ),
    "webp_lossless": (
        "e24ac10d26d88486",
        "UklGRlYAAABXRUJQVlA4TEoAAAAvJ8AIAM1lRP9jARCE/3IJhRjw/ocAB6VtIzFht//OX1kjY0AmbTNT839VViDUtm3DuM1OuQIjS0aWfLmH"
        "GAukdi/mYyyQf8ffEw==",
    ),
}


# Pictures that are made here, and the first digits of the SHA-256 of their pixels.
MADE = {
    "orientation 6": "3fc9c5ac40f0098b",
    "alpha": "5ed45cd7ae22309f",
    "16 bits": "745cde384e9c6860",
    "Adam7": "00521c6e8cbc9bd1",
}
# Tensors by filter and fit, and of the square around a face.
TENSORS = {
    ("nearest", "stretch"): "2354889cc3bfb55b",
    ("box", "crop"): "c36cf55aca72b8e4",
    ("bilinear", "stretch"): "3e6b8f6182c32af8",
    ("hamming", "crop"): "ccb4e3ab3ded2876",
    ("bicubic", "stretch"): "a813b2149ace1b05",
    ("bicubic", "crop"): "aae83ef26818dfd9",
    ("lanczos", "crop"): "d20a32b388212b47",
}
FACE_TENSOR = "d6e6a0e136157860"


def digest(pixels: bytes) -> str:
    return hashlib.sha256(pixels).hexdigest()[:16]


def noise(height: int, width: int, channels: int = 3, dtype: str = "u1") -> np.ndarray:
    """Return pixels that do not depend on a library: NumPy's generators may change."""
    shape = (height, width, channels)
    count = height * width * channels * np.dtype(dtype).itemsize
    return np.frombuffer(hashlib.shake_256(b"noise").digest(count), dtype).reshape(shape)


def made(name: str) -> bytes:
    buffer = io.BytesIO()
    if name == "orientation 6":
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        Image.fromarray(noise(36, 40)).save(buffer, "PNG", exif=exif)
    elif name == "alpha":
        Image.fromarray(noise(36, 40, 4)).save(buffer, "PNG")
    elif name == "16 bits":
        rows = noise(36, 40, 3, ">u2")
        return png(40, 36, colour=2, depth=16, body=b"".join(b"\0" + row.tobytes() for row in rows))
    else:
        pixels = noise(36, 40)
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        lines = [row for left, top, across, down in passes for row in pixels[top::down, left::across]]
        return png(40, 36, body=b"".join(b"\0" + line.tobytes() for line in lines), interlace=1)
    return buffer.getvalue()


@pytest.mark.parametrize("name", PICTURES)
def test_decode_pixels_are_those_of_the_version(name):
    """Where this fails, increase DECODE_VERSION, so that no cache of old pixels is used, and record the new ones."""
    expected, encoded = PICTURES[name]
    picture = decode(base64.b64decode(encoded), Limits(), "apply").rgb
    assert (DECODE_VERSION, digest(picture.tobytes())) == (1, expected)


@pytest.mark.parametrize("name", MADE)
def test_decode_pixels_of_odd_kinds_are_those_of_the_version(name):
    """As above, of rotation, alpha, depth and interlacing."""
    picture = decode(made(name), Limits(), "apply").rgb
    assert (DECODE_VERSION, digest(picture.tobytes())) == (1, MADE[name])


@pytest.mark.parametrize(("resize_filter", "fit"), TENSORS)
def test_tensor_is_that_of_the_version(resize_filter, fit):
    """As above, of the resize."""
    picture = decode(made("Adam7"), Limits(), "apply")
    tensor = to_tensor(picture, Preprocessing(24, 24, resize_filter, fit, "apply", "whole"))
    assert (DECODE_VERSION, digest(tensor.tobytes())) == (1, TENSORS[resize_filter, fit])


def test_face_tensor_is_that_of_both_versions():
    """As above, of the framing: increase FRAMING_VERSION where this fails alone."""
    picture = decode(made("Adam7"), Limits(), "apply")
    preprocessing = Preprocessing(24, 24, "bicubic", "crop", "apply", "face", 1.2, FINDER)
    box = frame(picture.rgb, preprocessing, (Face(11.5, 8.25, 12.0, 15.5, 0.9),))
    tensor = to_tensor(picture, preprocessing, box)
    assert (DECODE_VERSION, FRAMING_VERSION, digest(tensor.tobytes())) == (1, 1, FACE_TENSOR)
