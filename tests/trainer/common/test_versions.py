"""Versions: the commit is that of this code, or unknown."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import trainer
from trainer.common.versions import commit, library_versions


def test_in_a_checkout_the_commit_is_its_head():
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert re.fullmatch(re.escape(head.stdout.strip()) + "(-dirty)?", commit())


def test_commit_is_unknown_inside_a_foreign_repository(tmp_path):
    """Found in review: git looked upwards and recorded the commit of whatever project was there."""
    shutil.copytree(Path(trainer.__file__).parent, tmp_path / "site" / "trainer")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "other"], cwd=tmp_path, check=True)
    program = "from trainer.common.versions import commit; print(commit())"
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "site", capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "unknown"


def test_the_libraries_that_decide_a_result_are_named():
    assert {"python", "keras", "numpy", "pillow", "onnxruntime"} <= set(library_versions())
