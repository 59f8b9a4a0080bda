"""``POST /predict/video``: verdicts on the faces of a video, and what becomes of those that cannot be read."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest

from service.settings import Settings
from tests.conftest import REPOSITORY
from tests.service.video.readers import ask, until_reader
from tests.serving import PATIENCE


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


def test_damaged_or_cut_video_reports_how_much_was_read(client, clip, damaged):
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
def test_video_is_judged_without_margin_or_faces(make_model, clip, mode):
    from fastapi.testclient import TestClient

    from service.app import create_app
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions

    app = create_app(Settings(faces=mode), Engine.from_bytes(make_model(), EngineOptions("cpu", 1)))
    with TestClient(app) as client:
        answer = ask(client, clip)
    (track,) = answer["tracks"]
    if mode == "off":
        assert (track["verdict"], track["judged"]) == ("real", 32)
    else:
        assert (track["verdict"], track["judged"]) == ("uncertain", 0)
        assert answer["frames"][0]["faces"][0]["reasons"] == ["framed_too_wide"]


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


def test_a_video_may_be_as_large_as_the_settings_say(make_client, clip):
    large = clip + (2_400_000).to_bytes(4) + b"free" + bytes(2_400_000 - 8)
    client = make_client(max_buffered_mib=4, max_bytes=1 << 20, max_video_bytes=4_000_000)
    assert ask(client, large)["verdict"] == "real"


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
