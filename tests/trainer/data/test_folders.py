"""Folders under attack: names, links, permissions, lists that are none."""

import errno
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.contract.bounded_read import read_bounded
from trainer.common.errors import TrainerError
from trainer.data.dataset import scan
from trainer.data.folders import printable
from trainer.data.groups import grouped


def faces_at(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")


def test_every_file_that_is_left_out_is_named(tmp_path):
    """Found in review: pipes, broken links and whole unreadable folders vanished without a word."""
    root = tmp_path / "d"
    faces_at(root / "real", 3)
    faces_at(root / "fake", 3, 10)
    faces_at(tmp_path / "elsewhere", 2, 20)
    faces_at(root / "real" / ".trash", 2, 30)
    (root / "real" / "0-before").symlink_to(root / "real" / "own")
    faces_at(root / "real" / "own", 1, 40)
    (root / "real" / ("n" * 200 + ".jpg")).symlink_to("n" * 300)
    (root / "real" / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "real" / "again").symlink_to(tmp_path / "elsewhere")
    (root / "real" / "up").symlink_to(root / "real")
    (root / "real" / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    (root / "real" / "self.jpg").symlink_to(root / "real" / "self.jpg")
    os.mkfifo(root / "real" / "pipe.jpg")
    (root / "real" / "folder.jpg").mkdir()
    (root / "real" / "empty.jpg").touch()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "fake" / "socket.jpg"))
        dataset = scan([root])
    assert sum(sample.label == "real" for sample in dataset.samples) == 6
    assert any(sample.path.parent.name == "own" for sample in dataset.samples)  # under its own name, not a link's
    assert not any(".trash" in sample.path.parts for sample in dataset.samples)
    reasons = {rejected.path.name: rejected.reason for rejected in dataset.rejected}
    assert reasons["dangling.jpg"] == "unreadable: a broken link"
    assert reasons["self.jpg"].startswith("unreadable: ")
    assert reasons["n" * 200 + ".jpg"].startswith("unreadable: ")
    assert "has already been read" in reasons["0-before"]
    assert reasons["pipe.jpg"] == reasons["socket.jpg"] == "unreadable: not a regular file"
    assert "has already been read" in reasons["up"]
    assert "has already been read" in reasons.get("again", "") + reasons.get("linked", "")
    assert "empty.jpg" in reasons


def test_a_folder_that_cannot_be_entered_is_named(tmp_path, monkeypatch):
    root = tmp_path / "d"
    faces_at(root / "real", 3)
    faces_at(root / "real" / "closed", 3, 20)
    faces_at(root / "fake", 3, 10)
    good = os.scandir

    def scandir(path):
        if Path(path).name == "closed":  # whoever runs this may be root, whom no mode keeps out
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return good(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (left_out,) = scan([root]).rejected
    assert (left_out.path.name, left_out.reason) == ("closed", "unreadable folder: Permission denied")


@pytest.mark.parametrize("kind", ["broken link", "pipe", "folder"])
def test_invalid_groups_file_is_refused(tmp_path, kind):
    """Found in review: it was passed over, and grouped pictures leaked from one part into another."""
    root = tmp_path / "d"
    faces_at(root / "real", 5)
    faces_at(root / "fake", 5, 10)
    path = root / "groups.csv"
    {"broken link": lambda: path.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises(TrainerError, match="exists and is not a regular file"):
        grouped(scan([root]))


def test_roots_whose_names_cannot_be_told_apart_are_numbered(tmp_path):
    """Found in review: the search for names that differ had no end."""
    roots = [tmp_path / "a" / "b", tmp_path / "a.b", tmp_path / "c" / "b"]
    for number, root in enumerate(roots):
        faces_at(root / "real", 2, 100 * number)
        faces_at(root / "fake", 2, 100 * number + 50)
    named = {sample.source: sample.path for sample in scan(roots).samples}
    assert len(named) == 3
    again = {sample.source: sample.path for sample in scan(roots[::-1]).samples}
    assert named == again


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", b"\x1b[31mred", "ü 人".encode(), b"<script>", b"x[red]y"])
def test_odd_names_of_folders_are_printed_and_written(trainer, tmp_path, capsys, name):
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    faces_at(root / "real", 12)
    faces_at(root / "fake", 12, 50)
    (root / "real" / "bad\x1b[1m.jpg").write_bytes(b"junk")
    assert trainer("audit", root, "--report", tmp_path / "report") == 0
    shown = capsys.readouterr()
    assert printable(os.fsdecode(name)) in shown.out + shown.err
    assert "\x1b[31m" not in shown.err
    assert "\x1b[1m" not in shown.err
    assert "<script>/" not in (tmp_path / "report" / "audit.html").read_text("utf-8").replace("<script>\n", "")


@pytest.mark.parametrize("special", ["pipe", "folder", "endless"])
def test_reading_is_bounded_and_does_not_wait(tmp_path, special):
    path = tmp_path / "x.jpg"
    if special == "pipe":
        os.mkfifo(path)
    elif special == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=r"regular file|directory"):
        read_bounded(path, 1000)
