"""``POST /predict/video``: verdicts on the faces of a video, and what becomes of those that cannot be read."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.api.video_schemas import VideoPrediction
from service.settings import Settings
from service.video import frames, reader
from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, until


def ask(client, payload: bytes, status: int = 200) -> dict:
    response = client.post("/predict/video", files={"file": payload})
    assert response.status_code == status, response.text
    if status == 200:
        VideoPrediction.model_validate(response.json(), extra="forbid")
    return response.json()


def test_each_face_is_followed_and_the_most_fake_one_decides(client, make_video):
    answer = ask(client, make_video(pair=True))
    dark, bright = sorted(answer["tracks"], key=lambda track: track["probabilities"]["fake"])
    assert (dark["verdict"], bright["verdict"], answer["verdict"]) == ("real", "fake", "fake")
    assert answer["probabilities"] == bright["probabilities"]
    assert answer["interval"]["low"] <= answer["probabilities"]["fake"] <= answer["interval"]["high"]
    assert answer["reasons"] == ["several_faces"]
    assert dark["frames"] == dark["judged"] == bright["frames"] == len(answer["frames"]) == 32
    for frame in answer["frames"]:
        assert {face["track"] for face in frame["faces"]} == {dark["track"], bright["track"]}
        left = {face["track"]: face["box"]["left"] for face in frame["faces"]}
        assert left[dark["track"]] < left[bright["track"]]
    times = [frame["time_s"] for frame in answer["frames"]]
    assert times == sorted(times)
    facts = answer["video"]
    assert (facts["format"], facts["codec"], facts["width"], facts["height"]) == ("MP4", "h264", 480, 240)
    assert (facts["frames"], facts["sampled"], facts["unreadable"], facts["complete"]) == (48, 32, 0, True)
    assert facts["duration_s"] == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    ("codec", "container", "name"),
    [
        ("libvpx-vp9", "webm", "vp9"),
        ("libvpx", "webm", "vp8"),
        ("libx265", "mp4", "hevc"),
        ("libsvtav1", "matroska", "av1"),
        ("mpeg4", "mov", "mpeg4"),
    ],
)
def test_other_codecs_and_containers_are_read(client, make_video, codec, container, name):
    answer = ask(client, make_video(24, codec=codec, container=container))
    assert (answer["video"]["codec"], answer["verdict"]) == (name, "real")
    assert answer["video"]["sampled"] == 24


def test_a_raw_body_is_taken_too(client, clip):
    response = client.post("/predict/video", content=clip, headers={"content-type": "video/mp4"})
    assert response.status_code == 200
    response = client.post("/predict/video", content=clip, headers={"content-type": "image/jpeg"})
    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


def test_the_frames_are_those_of_their_times(make_video, limits):
    """Each frame is as bright as its number: the sampled ones are those that were to be, from key frames or not."""

    def draw(shown: Image.Image, number: int) -> None:
        shown.paste((5 * number,) * 3, (0, 0, *shown.size))

    import asyncio

    async def read() -> list[frames.SampledFrame]:
        found = [item async for item in frames.sample_frames(make_video(draw=draw), "MP4", limits)]
        return [item for item in found if isinstance(item, frames.SampledFrame)]

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
    place = changed.index(b"tkhd") + 4 + 40
    a, b, c, d = turn
    struct.pack_into(">9i", changed, place, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    answer = ask(client, bytes(changed))
    assert (answer["video"]["width"] < answer["video"]["height"]) is upright
    assert (answer["verdict"] == "real") is upright


def test_a_duration_that_lies_is_not_believed(client, lying):
    answer = ask(client, lying)
    if answer["video"]["format"] == "MKV":  # of an MP4 FFmpeg itself does not believe the header
        assert answer["video"]["declared_duration_s"] == 10_000
    assert answer["video"]["duration_s"] == pytest.approx(2, abs=0.05)
    assert answer["verdict"] == "real"


def test_of_a_damaged_or_cut_video_it_says_how_much_could_be_read(client, clip, damaged):
    answer = ask(client, damaged)
    assert "incomplete" in answer["reasons"]
    assert answer["video"]["unreadable"] > 0
    answer = ask(client, clip[: len(clip) * 6 // 10])
    assert "incomplete" in answer["reasons"]
    assert answer["video"]["frames"] < 48
    assert not answer["video"]["complete"]


@pytest.mark.parametrize(
    ("cut", "code"),
    [(0, "empty_payload"), (40, "corrupt_video"), (700, "corrupt_video")],
)
def test_what_is_cut_in_its_header_is_refused(client, clip, cut, code):
    assert ask(client, clip[:cut], 400 if not cut else 422)["code"] == code


def test_what_is_no_video_is_refused_by_what_it_is(client, sound, clip, encode, astronaut):
    assert ask(client, sound, 422)["code"] == "no_frames"
    assert "only audio" in ask(client, sound, 422)["detail"]
    noise = bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8))
    for payload in (encode(astronaut), noise, b"#EXTM3U\nfile:///etc/passwd\n", b"ffconcat version 1.0\nfile x\n"):
        assert ask(client, payload, 415)["code"] == "unsupported_video"
    for head in (b"\0\0\0\x18ftypmp42", b"\x1a\x45\xdf\xa3"):
        assert ask(client, head + noise, 422)["code"] == "corrupt_video"
    header = clip[: clip.index(b"mdat") + 4]
    assert ask(client, header, 422)["code"] in ("corrupt_video", "no_frames")


def test_limits_are_named(make_client, clip, make_video):
    few = make_client(max_video_frames=40, max_video_s=1.5, max_video_pixels=480 * 240)
    refused = ask(few, clip, 422)
    assert (refused["code"], "40" in refused["detail"]) == ("video_too_long", True)
    refused = ask(make_client(max_video_s=1.5), clip, 422)
    assert (refused["code"], "over the limit of 1.5 s" in refused["detail"]) == ("video_too_long", True)
    refused = ask(few, make_video(2, size=(640, 480)), 422)
    assert (refused["code"], "115200" in refused["detail"]) == ("too_many_pixels", True)
    refused = ask(make_client(max_video_bytes=2000), clip, 413)
    assert (refused["code"], "2000" in refused["detail"]) == ("payload_too_large", True)
    refused = ask(make_client(), make_video(4, size=(24, 24)), 422)
    assert refused["code"] == "image_too_small"


@pytest.mark.long
def test_ten_thousand_frames_and_a_4k_clip(make_client, make_video):
    long = make_video(10_000, size=(64, 64), draw=lambda shown, number: None)
    assert ask(make_client(), long, 422)["code"] == "video_too_long"  # 417 s
    answer = ask(make_client(max_video_s=1000), long)
    assert (answer["video"]["frames"], answer["reasons"]) == (10_000, ["no_face"])
    assert answer["probabilities"] is answer["confidence"] is answer["interval"] is None
    assert ask(make_client(), make_video(24, size=(3840, 2160)))["verdict"] == "real"


def test_a_codec_that_is_not_listed_is_refused(client, make_video):
    refused = ask(client, make_video(4, codec="mpeg2video"), 415)
    assert (refused["code"], "mpeg2video" in refused["detail"]) == ("unsupported_video", True)


@pytest.mark.parametrize("mode", ["off", "report"])
def test_a_model_without_a_margin_and_a_service_without_faces_judge_what_they_can(make_model, clip, mode):
    from fastapi.testclient import TestClient

    from service.app import create_app
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions
    from service.settings import Settings

    app = create_app(Settings(faces=mode), Engine.from_bytes(make_model(), EngineOptions("cpu", 1)))
    with TestClient(app) as client:
        answer = ask(client, clip)
    (track,) = answer["tracks"]
    if mode == "off":
        assert (track["verdict"], track["judged"]) == ("real", 32)
    else:
        assert (track["verdict"], track["judged"]) == ("uncertain", 0)
        assert answer["frames"][0]["faces"][0]["reasons"] == ["framed_too_wide"]


def test_without_the_extra_it_says_what_to_install(client, clip, monkeypatch):
    monkeypatch.setattr(frames, "available", lambda: False)
    refused = ask(client, clip, 501)
    assert (refused["code"], "face-authenticity[video]" in refused["detail"]) == ("video_unavailable", True)


def readers() -> list[int]:
    """Return the processes that read a video for this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if parent == os.getpid() and b"service.video.reader" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, IndexError):  # it has ended
            continue
    return found


def until_reader() -> int:
    until(readers, interval_s=0.005)
    return readers()[0]


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
def test_a_video_that_takes_too_long_is_504_and_leaves_no_process(make_client, make_video):
    refused = ask(make_client(video_deadline_s=0.2), make_video(600, size=(1280, 720)), 504)
    assert (refused["code"], "0.2" in refused["detail"]) == ("deadline_exceeded", True)
    assert not readers()


@pytest.mark.long
def test_one_more_video_than_may_be_read_at_once_is_429(client, make_video, clip):
    long = make_video(600, size=(1280, 720))
    answers = []
    first = threading.Thread(target=lambda: answers.append(ask(client, long)))
    first.start()
    until_reader()
    response = client.post("/predict/video", files={"file": clip})
    assert (response.status_code, response.json()["code"]) == (429, "overloaded")
    assert int(response.headers["retry-after"]) >= 1
    assert client.post("/predict", files={"file": b"x"}).status_code == 415  # pictures go on
    first.join()
    assert answers[0]["verdict"] == "real"


def test_the_reader_that_runs_is_confined(client, make_video):
    asking = threading.Thread(target=lambda: ask(client, make_video(600, size=(1280, 720))))
    asking.start()
    bounds = f"/proc/{until_reader()}/limits"
    rows: dict[str, str] = {}

    def is_confined() -> bool:
        with contextlib.suppress(OSError):
            rows.update({line[:26].strip(): line[26:].split()[0] for line in Path(bounds).read_text().splitlines()[1:]})
        return rows.get("Max cpu time", "unlimited") != "unlimited"  # the last

    until(is_confined, interval_s=0.0)
    asking.join()
    assert (rows["Max address space"], rows["Max file size"]) == (str(reader.MAX_MEMORY_BYTES), "0")
    assert (rows["Max cpu time"], rows["Max open files"]) == ("61", "16")


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


def test_a_video_may_be_as_large_as_the_settings_say(make_client, clip):
    large = clip + (2_400_000).to_bytes(4) + b"free" + bytes(2_400_000 - 8)
    client = make_client(max_buffered_mib=4, max_bytes=1 << 20, max_video_bytes=4_000_000)
    assert ask(client, large)["verdict"] == "real"


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


def test_score_takes_videos_among_pictures(make_model, make_spec, tmp_path, make_video, astronaut, damaged):
    from service.contract.faces.face import FINDER

    model = tmp_path / "model.onnx"
    model.write_bytes(make_model(make_spec(face_margin=1.3, face_finder=FINDER)))
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(make_video(pair=True))
    (folder / "b.mp4").write_bytes(damaged[:300])
    astronaut.save(folder / "c.jpg")
    for output in ("rows.jsonl", "rows.csv"):
        subprocess.run(
            [sys.executable, "-m", "service", "score", folder, "--output", tmp_path / output, "--model", model],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert rows[0]["verdict"] == "fake"
    assert rows[0]["video"]["sampled"] == 32
    assert rows[1]["error"]["code"] == "corrupt_video"
    assert rows[2]["image"]["format"] == "JPEG"
    table = (tmp_path / "rows.csv").read_text().splitlines()
    assert "fake" in table[1]
    assert ",MP4,480,240," in table[1]


@pytest.mark.long
def test_real_clips_and_face_swaps(faces_data, make_client):
    """The default model knows no face swaps; what it says of these is in docs/video.md."""
    from fastapi.testclient import TestClient

    from service.app import create_app
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions
    from service.model_settings import default_model
    from service.settings import Settings

    app = create_app(Settings(), Engine.load(default_model(), EngineOptions("cpu", 1)))
    with TestClient(app) as client:
        clips = sorted((faces_data / "videos").glob("*/*.mp4"))
        assert len(clips) > 8
        for path in clips:
            answer = ask(client, path.read_bytes())
            p, took = answer["probabilities"]["fake"], answer["timings_ms"]["total"]
            print(f"{path.parent.name}/{path.name}: {answer['verdict']} {p:.3f} {answer['interval']} {took:.0f} ms")
            assert answer["video"]["complete"]
            assert answer["video"]["sampled"] == 32
            if path.parent.name == "real":
                assert answer["verdict"] != "fake"
