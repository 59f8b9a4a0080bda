"""The benchmark can start: every module imports, and every peer's environment has what the peers import."""

import importlib
import importlib.metadata
import pkgutil
import re
import shutil
import subprocess
import sys

import pytest

import tests.bench
from tests.bench.serving.rivals import PEERS
from tests.conftest import REPOSITORY

LOCKS = sorted(PEERS.glob("*.lock"))
# What runs as a program of its own, with a model named by a variable or in the environment of its peer.
PROGRAMS = ("bentoml_app", "litserve_app", "mosec_app", "pytriton_app", "keras_predict", "plain", "__main__")


def modules() -> list[str]:
    modules = pkgutil.walk_packages(tests.bench.__path__, "tests.bench.")
    return [module.name for module in modules if not module.name.endswith((*PROGRAMS, "test_bench"))]


@pytest.mark.parametrize("name", modules())
def test_bench_module_imports(name):
    """A benchmark that is seldom run breaks unseen when a module moves."""
    assert importlib.import_module(name).__doc__


def test_peer_environments_hold_what_peers_import():
    """The comparison did not start: mosec's environment lacked simplejpeg."""
    program = "import sys, tests.bench.serving.peers.scoring; print(*{name.split('.')[0] for name in sys.modules})"
    imported = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    packages = importlib.metadata.packages_distributions() | {"google": ["protobuf"]}
    names = set(imported.stdout.split()) - {"tests", "service", "_distutils_hack"}
    needed = {packages[name][0].lower() for name in names if name in packages}
    assert needed >= {"numpy", "onnxruntime", "pillow", "protobuf", "simplejpeg"}
    for lock in LOCKS:
        pinned = set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), re.M))
        assert needed <= pinned, f"{lock.name} lacks {needed - pinned}"


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("wrk"), reason="needs wrk (Debian: apt-get install wrk)")
def test_comparison_with_own_rows_runs():
    """One short round of the comparison, of the rows that need no other environment."""
    command = [sys.executable, "-m", "tests.bench.serving.side_by_side", "--quick", "--seconds", "1"]
    ended = subprocess.run(
        [*command, "this service, raw", "plain FastAPI, 2"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    # Rates are printed with their share of the bare loop.
    for name in ("this service, raw body", "plain FastAPI, 2 workers"):
        row = next(line for line in ended.stdout.splitlines() if name in line and "│" in line)
        assert len(re.findall(r"\d+ \(\d\.\d\d\)", row)) == 3
