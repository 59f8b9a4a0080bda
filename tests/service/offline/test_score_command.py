"""``service score``: every file a row, once, whatever happens meanwhile."""

import asyncio
import csv
import json
import os
import signal
from pathlib import Path

import pytest

from service.errors import ScoreError
from service.offline.journal import Journal
from service.offline.listing import files_of
from service.offline.rows import score_files
from service.offline.score_options import ScoreOptions
from service.offline.tables import write_table
from tests.conftest import REPOSITORY
from tests.service.offline.scoring import lines, rows_of, run, stopped


def test_every_file_is_a_row_as_predict_would_answer_and_what_cannot_be_read_says_why(
    archive, model, tmp_path, make_client
):
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
def test_a_run_that_is_killed_again_and_again_ends_with_every_row_once_and_scores_nothing_twice(many, model, tmp_path):
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
    other = run(*arguments, "--resume", "--min-side", "40", status=2)
    assert "was made with limits" in other
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent", "--output", "x.csv"], "'absent' does not exist"),
        (["a" * 300, "--output", "x.csv"], f"'{'a' * 300}' cannot be accessed: File name too long"),
        (["README.md", "--output", "x" * 250 + ".csv"], "cannot write "),
        (
            ["README.md", "--output", "x.txt"],
            "setting --output (SERVICE_OUTPUT): does not end with .jsonl",
        ),
        (["README.md", "--output", "absent/x.csv"], "the folder 'absent' for the output 'x.csv' does not exist"),
        (["README.md"], "setting --output (SERVICE_OUTPUT): is missing"),
        (
            ["README.md", "--output", "x.csv", "--threads", "0"],
            "setting --threads (SERVICE_THREADS): Input should be gre",
        ),
        (["README.md", "--output", "x.csv", "--model", "absent.onnx"], "model file 'absent.onnx' cannot be read"),
        (
            ["README.md", "--output", "x.csv", "--resume", "--overwrite"],
            "setting --overwrite (SERVICE_OVERWRITE): cannot be",
        ),
        (["README.md", "--output", "x.csv", "--ray-address", "a:1"], "setting --ray-address (SERVICE_RAY_ADDRESS): ne"),
        (
            ["README.md", "--output", "x.csv", "--engine", "ray", "--ray-address", "nonsense"],
            "setting --ray-address: 'n",
        ),
        (
            ["README.md", "--output", "x.csv", "--engine", "ray", "--ray-address", "ray://a:1"],
            "setting --ray-address: ",
        ),
    ],
)
def test_what_cannot_begin_is_one_line_and_leaves_nothing(arguments, words):
    said = run(*arguments, status=2)
    assert said.startswith(f"service: {words}")
    assert len(said.splitlines()) == 1
    assert not list(REPOSITORY.glob("x.*"))


def test_what_is_no_regular_file_or_cannot_be_read_is_a_row(archive, model, tiny_engine, tmp_path):
    os.mkfifo(archive / "pipe.jpg")
    (archive / "gone.jpg").symlink_to(archive / "nowhere")
    os.link(archive / "0.jpg", os.fsencode(archive) + b"/\xff\n.jpg")
    (archive / "long.jpg").write_bytes(b"\xff\xd8\xff" + bytes(2000))
    options = ScoreOptions(output=tmp_path / "o.csv", model=model, max_bytes=1500, faces="off")
    rows: dict[str, dict] = {}
    names = files_of([archive], ())
    asyncio.run(score_files(names, tiny_engine, options, lambda row: rows.__setitem__(row["path"], row)))
    errors = {Path(path).name: row["error"] for path, row in rows.items() if "error" in row}
    assert errors["pipe.jpg"] == {"code": "unreadable", "detail": "not a regular file"}
    assert errors["gone.jpg"] == {"code": "unreadable", "detail": "No such file or directory"}
    assert errors["long.jpg"]["code"] == "payload_too_large"
    odd = next(path for path in rows if "\n" in path)
    for kind in ("jsonl", "csv", "parquet"):
        write_table([rows[odd]], tmp_path / f"t.{kind}", kind)
    spelt = str(archive) + "/\\xff\n.jpg"
    assert json.loads((tmp_path / "t.jsonl").read_text())["path"] == spelt
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["path"] == spelt


def test_what_failed_for_a_reason_that_may_pass_is_tried_again_on_resume(tmp_path):
    journal = Journal(tmp_path / "j", {"journal": 1}, resume=False)
    for name, code in (("a", "inference_failed"), ("b", "unreadable"), ("c", "corrupt_image"), ("d", "internal_error")):
        journal.add({"path": name, "error": {"code": code, "detail": ""}})
    journal.close()
    again = Journal(tmp_path / "j", {"journal": 1}, resume=True)
    assert list(again.done) == ["c"]
    again.add({"path": "a", "verdict": "real"})
    again.add({"path": "b", "error": {"code": "unreadable", "detail": "still"}})
    rows = list(again.rows("abc"))
    assert [row.get("verdict", row.get("error", {}).get("detail")) for row in rows] == ["real", "still", ""]
    again.close()


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
def test_a_run_that_was_cut_off_before_its_table_is_finished_by_either_engine(
    archive, model, tmp_path, engine, monkeypatch
):
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
