"""The command ``trainer``: one line where its packages are missing."""

import subprocess
import sys

from tests.conftest import REPOSITORY


def test_the_trainer_without_its_extra_is_one_clear_line():
    program = "import sys; sys.modules['typer'] = None; import trainer.__main__"
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("trainer: typer is not installed; the extra 'trainer' has it")
