"""The reader process: which frames it decodes, and what it may use."""

import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from service.video import frames, reader
from tests.conftest import REPOSITORY
from tests.service.video.readers import ask, until_reader
from tests.serving import until


def test_the_frames_are_those_of_their_times(make_video, limits):
    """Each frame is as bright as its number: the sampled ones are those that were to be, from key frames or not."""

    def draw(shown: Image.Image, number: int) -> None:
        shown.paste((5 * number,) * 3, (0, 0, *shown.size))

    import asyncio

    async def read() -> list[frames.SampledFrame]:
        items = [item async for item in frames.sample_frames(make_video(draw=draw), "MP4", limits)]
        return [item for item in items if isinstance(item, frames.SampledFrame)]

    for frame in asyncio.run(read()):
        assert frame.pixels.mean() == pytest.approx(5 * frame.index, abs=3)
        assert frame.time_s == pytest.approx(frame.index / 24, abs=0.001)


@pytest.mark.parametrize(("turn", "upright"), [((0, 65536, -65536, 0), True), ((65536, 0, 0, 65536), False)])
def test_a_video_that_was_held_on_its_side_is_turned_upright(client, make_video, portrait, turn, upright):
    """As phones write it: the frames lie on their side, and the header says by what matrix to turn them."""
    import struct

    def draw(shown: Image.Image, _: int) -> None:
        lying = portrait.resize((180, 180)).transpose(Image.Transpose.ROTATE_90)
        shown.paste(lying.point(lambda value: value // 2), (30, 20))

    changed = bytearray(make_video(24, draw=draw))
    offset = changed.index(b"tkhd") + 4 + 40
    a, b, c, d = turn
    struct.pack_into(">9i", changed, offset, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    answer = ask(client, bytes(changed))
    assert (answer["video"]["width"] < answer["video"]["height"]) is upright
    assert (answer["verdict"] == "real") is upright


def test_a_duration_that_lies_is_not_believed(client, lying):
    answer = ask(client, lying)
    if answer["video"]["format"] == "MKV":  # of an MP4 FFmpeg itself does not believe the header
        assert answer["video"]["declared_duration_s"] == 10_000
    assert answer["video"]["duration_s"] == pytest.approx(2, abs=0.05)
    assert answer["verdict"] == "real"


def test_the_reader_that_runs_is_confined(client, make_video):
    asking = threading.Thread(target=lambda: ask(client, make_video(600, size=(1280, 720))))
    asking.start()
    bounds = f"/proc/{until_reader()}/limits"
    rows: dict[str, str] = {}

    def is_confined() -> bool:
        with contextlib.suppress(OSError):
            rows.update({line[:26].strip(): line[26:].split()[0] for line in Path(bounds).read_text().splitlines()[1:]})
        return rows.get("Max cpu time", "unlimited") != "unlimited"  # the last

    until(is_confined, interval_s=0.005)
    asking.join()
    assert (rows["Max address space"], rows["Max file size"]) == (str(reader.MAX_MEMORY_BYTES), "0")
    assert (rows["Max cpu time"], rows["Max open files"]) == ("61", "16")


def test_the_bounds_hold_for_good():
    """It has no memory beyond its bound, can write no file, and runs no longer than it may."""
    script = (
        "import resource; from service.sandbox.confinement import confine; from service.video import reader;"
        "confine(reader.MAX_MEMORY_BYTES, 4);"
        "print([resource.getrlimit(getattr(resource, name))[0] for name in "
        "('RLIMIT_AS', 'RLIMIT_CPU', 'RLIMIT_FSIZE', 'RLIMIT_NOFILE')])"
    )
    ended = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout) == [reader.MAX_MEMORY_BYTES, 4, 0, 16]
