"""Which files are scored."""

import csv
import os
import subprocess

from service.offline.listing import files_of
from tests.conftest import REPOSITORY
from tests.service.offline.scoring import command, run


def test_listing_ends_on_loops_and_takes_a_file_once(archive):
    (archive / "deep" / "loop").symlink_to(archive)
    (archive / "link.jpg").symlink_to(archive / "0.jpg")
    (archive / "gone.jpg").symlink_to(archive / "nowhere")
    (archive / "round.jpg").symlink_to(archive / "round.jpg")
    names = files_of([archive, archive / "0.jpg", archive / "1.jpg"], [archive / "1.jpg"])
    assert len(names) == len(set(names)) == 12
    assert str(archive / "1.jpg") not in names
    assert str(archive / "link.jpg") in names


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
