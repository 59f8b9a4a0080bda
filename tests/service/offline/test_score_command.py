"""``service score``: every file a row, once, whatever happens meanwhile."""

import asyncio
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from service.offline.journal import Journal
from service.offline.listing import files_of
from service.offline.rows import score_files
from service.offline.score_error import ScoreError
from service.offline.score_options import ScoreOptions
from service.offline.tables import COLUMNS, write_table
from tests.conftest import REPOSITORY
from tests.serving import free_port, until


@pytest.fixture
def model(make_model, tmp_path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(make_model())
    return path


@pytest.fixture
def archive(astronaut, tmp_path) -> Path:
    """Pictures, one twice, beside what is none."""
    folder = tmp_path / "archive"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(5):
        astronaut.resize((64 + number, 64)).save(folder / f"{number}.jpg")
    astronaut.save(folder / "deep" / "er" / "face.PNG")
    shutil.copy(folder / "0.jpg", folder / "deep" / "again.jpg")
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:500])
    (folder / ".hidden.jpg").write_bytes(b"hidden")
    (folder / ".git").mkdir()
    (folder / ".git" / "x.jpg").touch()
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "service", "score", *map(str, arguments)]


def run(*arguments: object, status: int = 0) -> str:
    """Run the command and return what it says."""
    ended = subprocess.run(
        command(*arguments), cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == status, ended.stderr[-1500:]
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr.strip()


def rows_of(path: Path) -> dict[str, dict]:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({row["path"] for row in rows}) == len(rows)
    return {row["path"]: row for row in rows}


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


def test_csv_and_parquet_hold_the_same(archive, model, tmp_path):
    import pyarrow.parquet as pq

    names = [tmp_path / f"out.{kind}" for kind in ("jsonl", "csv", "parquet")]
    for name in names:
        run(archive, "--output", name, "--model", model, "--faces", "report")
    rows = rows_of(names[0])
    with names[1].open(newline="") as file:
        table = list(csv.DictReader(file))
    parquet = pq.read_table(names[2]).to_pylist()
    assert list(table[0]) == list(parquet[0]) == list(COLUMNS)
    assert [row["path"] for row in table] == [row["path"] for row in parquet] == list(rows)
    for flat, typed in zip(table, parquet, strict=True):
        row = rows[flat["path"]]
        if "error" in row:
            assert flat["error_code"] == typed["error_code"] == row["error"]["code"]
            assert (flat["verdict"], typed["verdict"], typed["p_fake"]) == ("", None, None)
        else:
            assert float(flat["p_fake"]) == typed["p_fake"] == row["probabilities"]["fake"]
            assert flat["verdict"] == typed["verdict"] == row["verdict"]
            assert flat["reasons"] == typed["reasons"] == " ".join(row["reasons"])
            assert int(flat["faces"]) == typed["faces"] == len(row["faces"])
            assert typed["model_sha256"] == row["model"]["sha256"]


@pytest.fixture
def many(astronaut, tmp_path) -> Path:
    """Enough pictures for a run to be killed in."""
    folder = tmp_path / "many"
    folder.mkdir()
    astronaut.save(folder / "0000.png")
    for number in range(1, 400):
        os.link(folder / "0000.png", folder / f"{number:04}.png")
    return folder


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.long
def test_a_run_that_is_killed_again_and_again_ends_with_every_row_once_and_scores_nothing_twice(many, model, tmp_path):
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    arguments = (many, "--output", output, "--model", model, "--resume")
    seen: list[bytes] = []
    for stop in (40, 90, 150):
        process = subprocess.Popen(command(*arguments), cwd=REPOSITORY, stderr=subprocess.PIPE)
        until(lambda stop=stop: lines(journal) > stop)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        content = journal.read_bytes()
        whole = content[: content.rindex(b"\n") + 1].splitlines()
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
    output, journal = tmp_path / "out.csv", tmp_path / "out.csv.journal"
    arguments = (many, "--output", output, "--model", model)
    process = subprocess.Popen(command(*arguments), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    until(lambda: lines(journal) > 20)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "service: stopped; run it again with --resume (instead of --overwrite) to continue"
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


def test_a_cluster_that_does_not_answer_or_is_none_is_told_at_once(archive, tmp_path):
    """Of the second Ray itself would wait for minutes."""
    output = tmp_path / "out.csv"
    address = f"127.0.0.1:{free_port()}"
    said = run(archive, "--output", output, "--engine", "ray", "--ray-address", address, status=2)
    assert said == f"service: setting --ray-address: '{address}' does not answer: Connection refused"
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", address.split(":")[1], "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        said = run(archive, "--output", output, "--engine", "ray", "--ray-address", address, status=2)
    finally:
        server.kill()
        server.wait()
    assert said == f"service: setting --ray-address: the server at '{address}' is not a Ray cluster"
    assert not list(tmp_path.glob("out*"))


def workers() -> list[int]:
    """Return the Ray processes that hold a scoring actor."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"MapWorker(MapBatches(Worker))" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.long
def test_two_ray_workers_score_all_and_nothing_is_lost_with_one_that_is_killed(many, model, tmp_path):
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    process = subprocess.Popen(
        command(many, "--output", output, "--model", model, "--engine", "ray", "--ray-workers", "2"),
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: lines(journal) > 5 and len(workers()) == 2, seconds=90)
        victim = workers()[0]
        os.kill(victim, signal.SIGKILL)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, said[-1500:]
    rows = rows_of(output)
    assert list(rows) == sorted(str(path) for path in many.iterdir())
    assert Counter("error" in row for row in rows.values()) == {False: 400}
    until(lambda: not workers())


def test_a_journal_is_held_by_one_run(tmp_path):
    held = Journal(tmp_path / "j", {"journal": 1}, resume=True)
    with pytest.raises(ScoreError, match="another run is writing"):
        Journal(tmp_path / "j", {"journal": 1}, resume=True)
    held.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"something else\n", "is not a journal of 'service score'; it was not changed"),
        (b"x", "is not a journal of 'service score'; it was not changed"),
        (b'{"journal":1,"a":2}\n', "was made with a 2, but this run has 1; use --overwrite to start over"),
        (b'{"journal":1,"a":1}\n{"path":"x"}\n\x00\x00\n{"path":"y"}\n', "is damaged at byte 33"),
        (b'{"journal":1,"a":1}\n{"no":"path"}\n', "is damaged at byte 20"),
        (b'{"journal":1,"a":1}\n{"path":"x","error":"y"}\n', "is damaged at byte 20"),
    ],
)
def test_a_journal_that_is_none_or_of_another_run_is_refused_and_kept(tmp_path, content, words):
    path = tmp_path / "j"
    path.write_bytes(content)
    with pytest.raises(ScoreError, match=words):
        Journal(path, {"journal": 1, "a": 1}, resume=True)
    assert path.read_bytes() == content


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_a_journal_cut_anywhere_is_gone_on_with(tmp_path, cut):
    path = tmp_path / "j"
    journal = Journal(path, {"journal": 1}, resume=False)
    for name in ("a", "b", "c"):
        journal.add({"path": name, "verdict": "real"})
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - cut])
    again = Journal(path, {"journal": 1}, resume=True)
    assert list(again.done) == ["a", "b", "c"][: 3 - -(-cut // 30)]
    for name in ("a", "b", "c"):
        if name not in again.done:
            again.add({"path": name, "verdict": "real"})
    again.close()
    assert path.read_bytes() == whole


def test_a_full_disk_stops_the_run_and_leaves_whole_rows(tmp_path):
    program = (
        "import resource, signal\n"
        "from pathlib import Path\n"
        "from service.offline.journal import Journal\n"
        "from service.offline.score_error import ScoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        f"journal = Journal(Path({str(tmp_path / 'j')!r}), {{'journal': 1}}, resume=False)\n"
        "try:\n"
        "    for number in range(100):\n"
        "        journal.add({'path': f'file {number}'})\n"
        "except ScoreError as error:\n"
        "    print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.endswith(": File too large; use --resume to continue\n")
    content = (tmp_path / "j").read_bytes()
    assert content.endswith(b"\n")
    assert all(json.loads(line) for line in content.splitlines())
    again = Journal(tmp_path / "j", {"journal": 1}, resume=True)
    again.close()
    assert len(again.done) > 3


def test_a_table_is_written_whole_or_not_at_all(tmp_path):
    def rows():
        yield {"path": "a"}
        raise OSError(28, "No space left on device")

    output = tmp_path / "out.csv"
    output.write_text("before")
    with pytest.raises(ScoreError, match="No space left on device; use --resume to try again"):
        write_table(rows(), output, "csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_the_listing_follows_no_folder_in_circles_and_takes_a_file_once(archive):
    (archive / "deep" / "loop").symlink_to(archive)
    (archive / "link.jpg").symlink_to(archive / "0.jpg")
    (archive / "gone.jpg").symlink_to(archive / "nowhere")
    (archive / "round.jpg").symlink_to(archive / "round.jpg")
    names = files_of([archive, archive / "0.jpg", archive / "1.jpg"], [archive / "1.jpg"])
    assert len(names) == len(set(names)) == 12
    assert str(archive / "1.jpg") not in names
    assert str(archive / "link.jpg") in names


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


def test_a_bar_shows_rate_and_time_left_on_a_terminal(archive, model, tmp_path):
    import pty

    shown = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        shown.extend(data)
        return data

    output = tmp_path / "out.jsonl"
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(REPOSITORY)
        arguments = command(archive, "--output", output, "--model", model)
        os.execvpe(arguments[0], arguments, os.environ | {"COLUMNS": "120", "TERM": "xterm"})  # noqa: S606
    try:
        while read(descriptor):
            pass
    except OSError:  # it has ended
        pass
    assert os.waitpid(pid, 0)[1] == 0
    text = shown.decode()
    assert "10/10" in text
    assert "files/s" in text
    assert "0:00:0" in text


def test_names_are_taken_as_they_are(astronaut, model, tmp_path):
    """Commas, brackets, braces, quotes, spaces, dashes and formulas are names like any other."""
    folder = tmp_path / "odd"
    folder.mkdir()
    names = ["Doe, John.jpg", "[x].jpg", "{a}.jpg", 'a"b.jpg', " lead.jpg", "=1+1.jpg", "null", "-dash.jpg"]
    for name in names:
        astronaut.resize((40, 40)).save(folder / name, "JPEG")
    output = tmp_path / "out.csv"
    ended = subprocess.run(
        command("--output", output, "--model", model, "--faces", "off", "--", *names),
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [f"./{name}" if name[0] in "=-" else name for name in names]
    assert [row["error_code"] for row in rows] == [""] * len(names)
    assert "the path is empty" in run("", "--output", output, status=2)


def test_a_foreign_file_of_the_journals_name_is_never_overwritten(archive, model, tmp_path):
    output, journal = tmp_path / "x.csv", tmp_path / "x.csv.journal"
    journal.write_text("keep me")
    for flag in ("--overwrite", "--resume"):
        assert "is not a journal of 'service score'; it was not changed" in run(
            archive, "--output", output, "--model", model, flag, status=2
        )
    assert journal.read_text() == "keep me"


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
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    output.write_text("before")
    arguments = (many, "--output", output, "--model", model)
    process = subprocess.Popen(command(*arguments, "--overwrite"), cwd=REPOSITORY, stderr=subprocess.PIPE)
    until(lambda: lines(journal) > 20)
    process.kill()
    process.communicate()
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


def test_options_reach_a_worker_of_a_cluster_as_they_were(tmp_path, model):
    """They travel as JSON, which has no paths."""
    from service.offline.cluster import _with_paths

    anchors = tmp_path / "anchors.pem"
    anchors.write_text("-----BEGIN CERTIFICATE-----\n")
    options = ScoreOptions(output=tmp_path / "o.csv", model=model, trust_anchors=anchors)
    there = ScoreOptions.model_construct(**_with_paths(options.model_dump(mode="json")))
    assert there.read_anchors() == options.read_anchors() == anchors.read_text()
    assert (there.model, there.face_policy, there.limits) == (model, options.face_policy, options.limits)
