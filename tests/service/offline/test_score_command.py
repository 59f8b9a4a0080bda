"""``service score``: every file a row, once, whatever happens meanwhile."""

import csv
import signal
from pathlib import Path

import pytest

from service.errors import ScoreError
from service.offline.score_options import ScoreOptions
from tests.service.offline.scoring import lines, rows_of, run, stopped


def test_every_file_is_a_row_as_predict_answers_or_says_why(archive, model, tmp_path, make_client):
    output = tmp_path / "out.jsonl"
    said = run(archive, "--output", output, "--model", model, "--faces", "off")
    rows = rows_of(output)
    assert list(rows) == [
        str(archive / name)
        for name in (
            *(f"{number}.jpg" for number in range(5)),
            "cut.jpg",
            "empty.jpg",
            "notes.txt",
            "deep/again.jpg",
            "deep/er/face.PNG",
        )
    ]
    errors = {Path(path).name: row["error"]["code"] for path, row in rows.items() if "error" in row}
    assert errors == {"cut.jpg": "corrupt_image", "empty.jpg": "empty_payload", "notes.txt": "unsupported_format"}
    client = make_client(faces="off")
    for path, row in rows.items():
        response = client.post("/predict", files={"file": Path(path).read_bytes()})
        if "error" in row:
            assert row["error"]["code"] == response.json()["code"]
        else:
            answer = response.json()
            del answer["timings_ms"], row["path"]
            assert row == answer
    assert said.startswith("10 files: ")
    assert "3 not scored (corrupt_image 1, empty_payload 1, unsupported_format 1)" in said
    assert not output.with_name("out.jsonl.journal").exists()


@pytest.mark.long
def test_run_killed_repeatedly_ends_with_every_row_once(many, model, tmp_path):
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    arguments = (many, "--output", output, "--model", model, "--resume")
    seen: list[bytes] = []
    for rows in (40, 50, 60):
        assert stopped(signal.SIGKILL, rows, *arguments).returncode == -signal.SIGKILL
        content = journal.read_bytes()
        whole = content[: content.rindex(b"\n") + 1].splitlines()
        assert len(whole) >= max(1, len(seen)) + rows  # the head, what was there, and what this run has scored
        assert whole[: len(seen)] == seen  # what was scored before is neither lost nor scored anew
        seen = whole
    journal.write_bytes(journal.read_bytes() + b'{"path": "half a li')
    said = run(*arguments)
    assert f"{401 - len(seen)} in this run" in said
    rows = rows_of(output)
    assert list(rows) == sorted(str(path) for path in many.iterdir())
    assert not journal.exists()


@pytest.mark.long
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(many, model, tmp_path):
    output = tmp_path / "out.csv"
    arguments = (many, "--output", output, "--model", model)
    ended = stopped(signal.SIGINT, 20, *arguments)
    assert ended.returncode == 130
    assert ended.stderr.strip() == "service: stopped; run it again with --resume (instead of --overwrite) to continue"
    assert not output.exists()
    left = run(*arguments, status=2)
    assert "an interrupted run left" in left
    assert "use --resume to continue it or --overwrite to start over" in left
    refused = run(*arguments, "--resume", "--min-side", "40", status=2)
    assert "was made with limits" in refused
    run(*arguments, "--resume")
    with output.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 400


def test_an_output_that_exists_is_kept_unless_told_otherwise(archive, model, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    said = run(archive, "--output", output, "--model", model, status=2)
    assert said == f"service: '{output}' exists; use --overwrite to replace it"
    assert run(archive, "--output", output, "--model", model, "--resume", status=2) == said
    assert output.read_text() == "precious"
    run(archive, "--output", output, "--model", model, "--overwrite")
    assert len(rows_of(output)) == 10


def test_a_model_that_fails_again_and_again_stops_the_run(many, tmp_path, make_model, monkeypatch):
    from service.inference.engine import Engine, InferenceError
    from service.offline import score_command as offline

    def fail(*_: object) -> None:
        raise InferenceError("the device is gone")

    (tmp_path / "m.onnx").write_bytes(make_model())
    options = ScoreOptions(output=tmp_path / "o.csv", model=tmp_path / "m.onnx", faces="off")
    with monkeypatch.context() as patched:
        patched.setattr(Engine, "logits", fail)
        patched.setattr(Engine, "prove", lambda *_: None)
        with pytest.raises(ScoreError, match="the model or the service failed on 20 files in a row"):
            offline.score([many], options)
    assert offline.score([many], options.model_copy(update={"resume": True})) == 0
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 401
    (tmp_path / "o.csv").unlink()


@pytest.mark.long
def test_a_run_that_was_to_overwrite_can_be_resumed(many, model, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("before")
    arguments = (many, "--output", output, "--model", model)
    assert stopped(signal.SIGKILL, 20, *arguments, "--overwrite").returncode == -signal.SIGKILL
    assert output.read_text() == "before"
    run(*arguments, "--resume")
    assert len(rows_of(output)) == 400


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_run_cut_off_before_its_table_is_finished_on_resume(archive, model, tmp_path, engine, monkeypatch):
    from service.offline import score_command as offline

    def fail(*_: object) -> None:
        raise ScoreError("no room")

    output = tmp_path / "out.jsonl"
    with monkeypatch.context() as patched:
        patched.setattr(offline, "write_table", fail)
        with pytest.raises(ScoreError, match="no room"):
            offline.score([archive], ScoreOptions(output=output, model=model))
    assert lines(tmp_path / "out.jsonl.journal") == 11
    said = run(archive, "--output", output, "--model", model, "--resume", "--engine", engine)
    assert "0 in this run" in said
    assert len(rows_of(output)) == 10
