"""Frames from the reader process: one that dies, hangs or is missing."""

import os
import signal
import threading

import pytest

from service.settings import Settings
from service.video import frames
from tests.conftest import REPOSITORY
from tests.service.video.readers import ask, readers, until_reader


def test_without_the_extra_it_says_what_to_install(client, clip, monkeypatch):
    monkeypatch.setattr(frames, "available", lambda: False)
    refused = ask(client, clip, 501)
    assert (refused["code"], "face-authenticity[video]" in refused["detail"]) == ("video_unavailable", True)


@pytest.mark.long
def test_a_decoder_that_dies_costs_one_video(client, make_video, clip):
    long = make_video(600, size=(1280, 720))
    killer = threading.Thread(target=lambda: os.kill(until_reader(), signal.SIGKILL))
    killer.start()
    refused = ask(client, long, 422)
    killer.join()
    assert (refused["code"], "ended unexpectedly" in refused["detail"]) == ("corrupt_video", True)
    assert ask(client, clip)["verdict"] == "real"


@pytest.mark.long
def test_slow_video_is_504_and_leaves_no_process(make_client, make_video):
    refused = ask(make_client(video_deadline_s=0.2), make_video(600, size=(1280, 720)), 504)
    assert (refused["code"], "0.2" in refused["detail"]) == ("deadline_exceeded", True)
    assert not readers()


def test_code_in_the_current_folder_is_not_run(clip, tmp_path, monkeypatch):
    """A folder of videos may hold anything, modules by the names of libraries too."""
    import asyncio

    for name in ("av.py", "numpy.py", "c2pa.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "service").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(REPOSITORY), "")))

    async def read() -> int:
        return len([item async for item in frames.sample_frames(clip, "MP4", Settings().video_limits(1 << 26))])

    assert asyncio.run(read()) == 33
    assert not (tmp_path / "ran").exists()
