"""Runs that are stopped, copied and resumed."""

import errno
from pathlib import Path

OPTIONS = ("--recipe", "meso-4", "--framing", "whole", "--epochs", "2", "--batch-size", "16", "--model-version", "1")


def broken(*_: object) -> None:
    raise OSError(errno.EIO, "the power failed")


def said(capsys) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return text.replace("\n", " ")


def resume(trainer, data: Path, run: Path) -> int:
    return trainer("fit", data, *OPTIONS, "--out", run, "--resume")
