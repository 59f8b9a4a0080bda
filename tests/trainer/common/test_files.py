"""Files under attack: two writers, killed processes, full disks."""

import errno
import os

import pytest

from tests.trainer.runs import OPTIONS, resume, said
from trainer.common.errors import TrainerError
from trainer.common.files import atomic_path, folder_lock, new_folder, remove_partial


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


def test_only_partial_files_of_dead_processes_are_removed(tmp_path):
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
def test_full_disk_at_any_write_leaves_a_resumable_run(trainer, data, tmp_path, capsys, monkeypatch, failing):
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
