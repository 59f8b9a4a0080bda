"""Videos made here: a face that wanders over a coloured ground, in any container and codec, and damaged ones."""

import io
import struct
from collections.abc import Callable

import av
import numpy as np
import pytest
from PIL import Image

from service.contract.faces.face import FINDER
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.limits import VideoLimits
from service.settings import Settings


@pytest.fixture(scope="session")
def tiny_engine(make_model, make_spec) -> Engine:
    """The tiny model with a margin, so that each face can be cut out; grey over 127 is fake."""
    return Engine.from_bytes(make_model(make_spec(face_margin=1.3, face_finder=FINDER)), EngineOptions("cpu", 1))


@pytest.fixture(scope="session")
def portrait(astronaut) -> Image.Image:
    return astronaut.crop((120, 0, 320, 200))


@pytest.fixture(scope="session")
def make_video(portrait, tmp_path_factory) -> Callable[..., bytes]:
    """Return the bytes of a video with a dark face on the left, and a bright one on the right if asked for."""

    def video(
        frames: int = 48,
        size: tuple[int, int] = (480, 240),
        codec: str = "libx264",
        container: str = "mp4",
        pair: bool = False,
        draw: Callable[[Image.Image, int], None] | None = None,
        **options: str,
    ) -> bytes:
        path = tmp_path_factory.mktemp("video") / "made"
        with av.open(str(path), "w", format=container, options=options) as file:
            stream = file.add_stream(codec, rate=24)
            stream.width, stream.height = size
            stream.pix_fmt, stream.gop_size = "yuv420p", 12
            side = size[1] * 3 // 4
            face = portrait.resize((side, side))
            dark, bright = face.point(lambda value: value // 2), face.point(lambda value: 110 + value // 2)
            for number in range(frames):
                shown = Image.new("RGB", size, (40, 60, 90))
                if draw:
                    draw(shown, number)
                else:
                    shown.paste(dark, (5 + number % 24, 10))
                    if pair:
                        shown.paste(bright, (size[0] - side - 5 - number % 24, 30))
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(shown), format="rgb24")))
            file.mux(stream.encode())
        return path.read_bytes()

    return video


@pytest.fixture(scope="session")
def clip(make_video) -> bytes:
    """Two seconds, its index first."""
    return make_video(movflags="faststart")


@pytest.fixture(scope="session")
def sound() -> bytes:
    """An MP4 without video."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as file:
        stream = file.add_stream("aac", rate=44_100)
        stream.layout = "mono"
        for number in range(40):
            wave = np.sin(np.arange(1024) / 20).astype(np.float32)[None] / 10
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44_100, 1024 * number
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return buffer.getvalue()


@pytest.fixture(scope="session", params=["mp4", "matroska"])
def lying(request, clip, make_video) -> bytes:
    """A clip of two seconds whose headers say hours."""
    if request.param == "matroska":
        changed = bytearray(make_video(container="matroska"))
        struct.pack_into(">d", changed, changed.index(b"\x44\x89\x88") + 3, 1e7)  # Duration, milliseconds
        return bytes(changed)
    changed = bytearray(clip)
    for name, offset, value in ((b"mvhd", 16, 10_000_000), (b"mdhd", 16, 900_000_000), (b"tkhd", 20, 10_000_000)):
        struct.pack_into(">I", changed, changed.index(name) + 4 + offset, value)
    return bytes(changed)


@pytest.fixture(scope="session")
def damaged(clip) -> bytes:
    """A clip with bytes changed all over its frames."""
    changed, draw = bytearray(clip), np.random.default_rng(0)
    for offset in draw.integers(changed.index(b"mdat") + 2000, len(changed), 60):
        changed[offset] = draw.integers(256)
    return bytes(changed)


@pytest.fixture
def limits() -> VideoLimits:
    return Settings().video_limits(1 << 26)
