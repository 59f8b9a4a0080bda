"""The journal: held by one run, refused where it is another's, resumed wherever it was cut."""

import json
import subprocess
import sys

import pytest

from service.errors import ScoreError
from service.offline.journal import Journal
from tests.conftest import REPOSITORY
from tests.service.offline.scoring import run


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
def test_foreign_or_invalid_journal_is_refused_and_kept(tmp_path, content, words):
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
        "from service.errors import ScoreError\n"
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


def test_foreign_file_named_as_journal_is_not_overwritten(archive, model, tmp_path):
    output, journal = tmp_path / "x.csv", tmp_path / "x.csv.journal"
    journal.write_text("keep me")
    for flag in ("--overwrite", "--resume"):
        assert "is not a journal of 'service score'; it was not changed" in run(
            archive, "--output", output, "--model", model, flag, status=2
        )
    assert journal.read_text() == "keep me"


def test_transient_failures_are_tried_again_on_resume(tmp_path):
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
