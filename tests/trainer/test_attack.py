"""Training under attack: a clear refusal or a clean resume, never a silently wrong model."""

import csv
import errno
import json
import os
import shutil
import socket
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from service.contract.bounded_read import read_bounded
from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, folder_lock, new_folder, remove_partial
from trainer.common.run import Run
from trainer.data.dataset import scan
from trainer.data.folders import printable
from trainer.data.groups import grouped
from trainer.data.splits import read_split
from trainer.data.tensors import cache_tensors
from trainer.recipes.recipe import RECIPES
from trainer.training.checkpoints import RunState, load_network

OPTIONS = ("--recipe", "meso-4", "--framing", "whole", "--epochs", "2", "--batch-size", "16", "--model-version", "1")


@pytest.fixture(scope="module")
def data(write_faces, tmp_path_factory) -> Path:
    return write_faces(tmp_path_factory.mktemp("attacked") / "faces", real=20, fake=20, seed=4)


@pytest.fixture(scope="module")
def stopped(trainer, data, tmp_path_factory) -> Path:
    """A run that broke off once its epochs were done: everything to go on from is there."""
    run = tmp_path_factory.mktemp("runs") / "stopped"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("trainer.training.fit._keep_best", broken)
        assert trainer("fit", data, *OPTIONS, "--out", run) == 1
    assert (run / "checkpoints" / "state.json").exists()
    return run


@pytest.fixture(scope="module")
def finished(trainer, data, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "finished"
    assert trainer("fit", data, *OPTIONS, "--out", run) == 0
    return run


def broken(*_: object) -> None:
    raise OSError(errno.EIO, "the power failed")


@pytest.fixture
def copied(tmp_path):
    def copy(run: Path) -> Path:
        return Path(shutil.copytree(run, tmp_path / "run"))

    return copy


def said(capsys) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.replace("\n", " ")


def resume(trainer, data: Path, run: Path) -> int:
    return trainer("fit", data, *OPTIONS, "--out", run, "--resume")


def damaged(content: bytes) -> dict[str, bytes]:
    middle = len(content) // 2
    return {
        "cut": content[:middle],
        "empty": b"",
        "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "text": b"not a network",
    }


@pytest.mark.parametrize("how", ["cut", "empty", "flipped", "text"])
def test_a_damaged_checkpoint_is_refused(trainer, data, stopped, copied, capsys, how):
    run = copied(stopped)
    newest = max((run / "checkpoints").glob("epoch-*.keras"))
    newest.write_bytes(damaged(newest.read_bytes())[how])
    assert resume(trainer, data, run) == 1
    assert "was not written by this run" in said(capsys)


def test_another_runs_checkpoint_is_refused(trainer, data, stopped, copied, capsys):
    """Found in review: a run took any network for its own, and exported it under its name."""
    run = copied(stopped)
    newest = max((run / "checkpoints").glob("epoch-*.keras"))
    layers = keras.layers.Input((256, 256, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)
    stranger = keras.Sequential(layers)
    stranger.compile("adam", "categorical_crossentropy")
    stranger.save(newest)
    assert resume(trainer, data, run) == 1
    assert "was not written by this run" in said(capsys)


def test_a_run_that_broke_off_goes_on_and_ends_as_if_it_had_not(trainer, data, stopped, finished, copied):
    run = copied(stopped)
    assert resume(trainer, data, run) == 0
    one, other = (json.loads((folder / "metrics.json").read_text()) for folder in (run, finished))
    assert one["test"] == other["test"]
    assert one["calibration"] == other["calibration"]
    assert not list(run.rglob(".partial-*"))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("checkpoints/state.json", "{}"),
        ("checkpoints/state.json", "junk"),
        ("checkpoints/state.json", '{"epochs": 3}'),
        ("checkpoints/state.json", '{"epoch": 9, "best_epoch": 1, "history": []}'),
        ("config.json", "{}"),
        ("config.json", "[]"),
        ("split.csv", "part,source\ntrain"),
        ("split.csv", "\0\0"),
        ("split.csv", ""),
    ],
)
def test_damaged_state_is_one_clear_line(trainer, data, stopped, copied, capsys, file, content):
    run = copied(stopped)
    (run / file).write_text(content)
    assert resume(trainer, data, run) == 1
    assert "error: " in said(capsys)


@pytest.mark.parametrize("command", ["export", "rank", "publish"])
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{}"),
        ("metrics.json", "{}"),
        ("split.csv", "part\ntrain"),
        ("model.keras", "junk"),
        ("history.csv", "\xff\xfe"),
    ],
)
def test_a_damaged_run_is_one_clear_line_for_every_command(
    trainer, finished, copied, tmp_path, capsys, command, file, content
):
    run = copied(finished)
    (run / file).write_bytes(content.encode("latin-1"))
    options = ("--models", tmp_path / "models") if command == "publish" else ()
    if trainer(command, run, *options):
        assert "error: " in said(capsys)
    else:
        # These do not need them.
        assert (command, file) in [("export", "history.csv"), ("rank", "metrics.json"), ("rank", "model.keras")]


def test_a_split_that_lost_rows_is_refused(trainer, data, stopped, finished, copied, capsys):
    """Found in review: half the training part was gone, and nobody was told."""
    run = copied(stopped)
    with (run / "split.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    with (run / "split.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([row for number, row in enumerate(rows) if row[0] != "train" or number % 2])
    assert resume(trainer, data, run) == 1
    assert "is not the original split of its run" in said(capsys)


def test_pictures_that_were_swapped_after_the_split_are_refused(trainer, write_faces, finished, tmp_path, capsys):
    """Found in review: whatever lay under the path was scored, and the figures called the run's."""
    data = write_faces(tmp_path / "faces", real=20, fake=20, seed=6)
    run = tmp_path / "run"
    assert trainer("fit", data, *OPTIONS, "--out", run) == 0
    capsys.readouterr()
    one, other = data / "real" / "000.jpg", data / "fake" / "000.jpg"
    for sample in read_split(run / "split.csv").test:
        shutil.copy(other if sample.label == "real" else one, sample.path)
    (run / "metrics.json").unlink()
    assert trainer("export", run) == 1
    assert "has changed since it was scanned" in said(capsys)


def test_a_picture_that_changes_while_it_is_cached_does_not_poison_the_cache(write_faces, tmp_path):
    data, cache = write_faces(tmp_path / "faces", real=4, fake=4), tmp_path / "cache"
    samples, how = scan([data]).samples, RECIPES["meso-4"].preprocessing
    before = samples[0].path.read_bytes()
    samples[0].path.write_bytes(samples[-1].path.read_bytes())
    with pytest.raises(TrainerError, match="has changed since it was scanned"):
        cache_tensors(samples, how, cache, "test")
    samples[0].path.write_bytes(before)
    assert cache_tensors(samples, how, cache, "test")[0].any()


def test_two_fits_in_one_run_are_refused(trainer, data, stopped, copied, capsys):
    run = copied(stopped)
    with folder_lock(run):
        assert resume(trainer, data, run) == 1
        assert "another process is writing to" in said(capsys)
        assert trainer("export", run) == 1
        assert "another process is writing to" in said(capsys)
    assert resume(trainer, data, run) == 0  # the lock went with its holder


def test_a_run_that_was_made_meanwhile_is_not_overwritten(tmp_path):
    def make() -> None:
        with new_folder(tmp_path / "run") as made:
            (made / "mine").touch()
            (tmp_path / "run").mkdir()
            (tmp_path / "run" / "theirs").touch()

    with pytest.raises(TrainerError, match="was created by another process in the meantime"):
        make()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_is_being_written_is_left_alone_and_what_a_killed_process_left_is_not(tmp_path):
    """By locks, not by process numbers, which repeat in containers."""
    (tmp_path / f".partial-{os.getpid()}-dead").write_bytes(b"left")
    (tmp_path / ".partial-checkpoints").mkdir()
    (tmp_path / ".partial-checkpoints" / "state.json").touch()
    with atomic_path(tmp_path / "file") as alive:
        alive.write_bytes(b"new")
        remove_partial(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [alive.name]
    assert (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.long
@pytest.mark.parametrize("failing", range(2, 26, 3))
def test_a_disk_that_is_full_at_any_write_leaves_a_run_that_goes_on(
    trainer, data, tmp_path, capsys, monkeypatch, failing
):
    run, calls, good = tmp_path / "run", [], os.fsync

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        good(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    if trainer("fit", data, *OPTIONS, "--out", run) == 0:
        assert len(calls) < failing
        return
    assert "No space left on device '" in said(capsys)
    assert not list(tmp_path.rglob(".partial-*"))
    if run.exists():
        assert resume(trainer, data, run) == 0
    else:
        assert trainer("fit", data, *OPTIONS, "--out", run) == 0
    assert (run / "metrics.json").exists()


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
        found = scan([root])
    assert sum(sample.label == "real" for sample in found.samples) == 6
    assert any(sample.path.parent.name == "own" for sample in found.samples)  # under its own name, not a link's
    assert not any(".trash" in sample.path.parts for sample in found.samples)
    reasons = {rejected.path.name: rejected.reason for rejected in found.rejected}
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
def test_a_groups_file_that_is_none_is_refused(tmp_path, kind):
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


def test_a_run_may_be_named_as_anything(trainer, data, tmp_path):
    run = tmp_path / "rx$\\frac$ [b] _"
    assert trainer("fit", data, *OPTIONS, "--epochs", "1", "--out", run) == 0
    assert (run / "roc.png").exists()


@pytest.mark.parametrize("out", ["taken", "file/run", "dangling", "n" * 220])
def test_a_run_that_cannot_be_made_is_refused_before_the_scan(trainer, data, tmp_path, capsys, monkeypatch, out):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr("trainer.training.fit.scan", lambda *_, **__: pytest.fail("it was scanned"))
    assert trainer("fit", data, *OPTIONS, "--out", tmp_path / out) == 1
    assert "error: " in said(capsys)


def test_weights_that_are_not_finite_end_a_fit_in_words(trainer, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trainer.training.checkpoints.finite", lambda _: False)
    assert trainer("fit", data, *OPTIONS, "--out", tmp_path / "run") == 1
    assert "training diverged in epoch 1" in said(capsys)


def test_a_network_with_nan_in_it_is_refused(tmp_path):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    kernel, bias = model.get_weights()
    kernel[0, 0] = np.nan
    model.set_weights([kernel, bias])
    model.save(tmp_path / "model.keras")
    with pytest.raises(TrainerError, match="not finite"):
        load_network(tmp_path / "model.keras")


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


def test_a_state_from_before_digests_were_kept_is_read(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"epoch": 1, "best_epoch": 1, "history": [{"epoch": 1}]}))
    assert RunState.load(tmp_path).sha256 == {}
    assert RunState.load(tmp_path / "none") == RunState()
    assert Run(tmp_path).folder == tmp_path
