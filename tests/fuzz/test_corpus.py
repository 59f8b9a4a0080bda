"""The corpus of every target, replayed: what once broke one does not again."""

import subprocess
import sys

import pytest

from service.contract.image.decode import decode
from service.contract.image.image_errors import ImageError, Limits
from tests.conftest import REPOSITORY
from tests.fuzz.targets import CORPUS, TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_no_input_of_the_corpus_breaks_its_target(target):
    inputs = sorted((CORPUS / target).iterdir())
    assert len(inputs) > 5
    for path in inputs:
        TARGETS[target](path.read_bytes())


def test_the_pictures_of_the_corpus_are_scored_and_refused():
    outcomes = []
    for path in (CORPUS / "pictures").iterdir():
        try:
            outcomes.append(decode(path.read_bytes(), Limits(), "apply").format)
        except ImageError as error:
            outcomes.append(error.code)
    assert {"JPEG", "PNG", "WEBP", "corrupt_image", "animated_image", "too_many_pixels"} <= set(outcomes)


def test_a_target_that_is_broken_is_found(tmp_path):
    """The search itself: an input that fails must make its exit status 1, and be kept."""
    pytest.importorskip("atheris", reason="needs Atheris, which is there for Linux on x86-64")
    code = (
        "import sys\n"
        "from tests.fuzz import targets, search\n"
        "def broken(data):\n"
        "    assert data[:1] != b'x'\n"
        "targets.TARGETS['broken'] = broken\n"
        "sys.argv.insert(1, 'broken')\n"
        "search.main()\n"
    )
    # No limit on memory: Linux counts the peak of the process that forks as the child's, and this one may be large.
    flags = ["-runs=1000000", "-seed=1", "-rss_limit_mb=0", f"-artifact_prefix={tmp_path}/found-"]
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], cwd=REPOSITORY, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 77, done.stderr[-2000:]  # libFuzzer's status for a crash of the target
    (crash_input,) = tmp_path.glob("found-crash-*")
    assert crash_input.read_bytes()[:1] == b"x"
