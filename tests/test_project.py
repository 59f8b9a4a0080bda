"""The project's own promises: what installs, what imports what, what a commit may not hold."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import request, serving

LOCKS = ("service.lock", "service-gpu.lock", "trainer.lock", "dev.lock", "tests/clients/clients.lock")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_version_by_hash_and_names_no_address(lock):
    text = (REPOSITORY / lock).read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 20
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("heavy", ["tensorflow", "keras", "tf2onnx", "onnx", "torch"])
def test_the_services_lock_holds_nothing_of_the_trainer(heavy):
    assert not re.search(rf"^{heavy}==", (REPOSITORY / "service.lock").read_text(), re.MULTILINE)


def test_torch_is_no_dependency():
    for lock in LOCKS:
        assert not re.search(r"^torch==", (REPOSITORY / lock).read_text(), re.MULTILINE)


def test_the_promised_extras_and_scripts_exist():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) == {
        "bulk",
        "client",
        "gpu",
        "otel",
        "provenance",
        "signing",
        "tensorboard",
        "trainer",
        "trainer-gpu",
        "trainer-jax",
        "dev",
        "video",
    }
    assert set(project["scripts"]) == {"service", "trainer"}


def test_no_tracked_text_names_an_index_host_or_local_path():
    bad = re.compile("|".join((r"py" + r"pi\.org", r"python" + r"hosted", r"registry\.npm" + r"js", "/ro" + "ot/")))
    hits = []
    for path in tracked_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        hits += [f"{path.name}: {match.group()}" for match in bad.finditer(text)]
    assert hits == []


def test_the_service_starts_without_the_trainers_libraries():
    """Blocks the imports, then builds the whole command line's module tree."""
    program = (
        "import sys\n"
        "for name in 'tensorflow keras tf2onnx onnx trainer sklearn scipy matplotlib typer'.split():\n"
        "    sys.modules[name] = None\n"
        "import service.__main__\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


def test_wheel_serves_its_default_model_from_any_folder(astronaut, encode, tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
        scripts = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "service = service.__main__:main" in archive.read(scripts).decode()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with serving(elsewhere, installed) as (address, _):
        assert request(f"{address}/predict", encode(astronaut))[0] == 200


def test_models_hold_artifacts_only():
    models = REPOSITORY / "models"
    default = models / (models / "DEFAULT").read_text().strip()
    assert (default / "model.onnx").stat().st_size <= 4_000_000
    assert [path for path in models.rglob("*") if path.suffix == ".py"] == []
    for version in (path.parent for path in models.rglob("model.onnx")):
        assert {path.name for path in version.iterdir()} >= {"model.onnx", "metrics.json", "MODEL_CARD.md"}


def test_every_committed_model_loads_and_is_what_its_folder_says():
    from service.inference.engine import Engine
    from service.inference.engine_options import EngineOptions

    for path in (REPOSITORY / "models").rglob("model.onnx"):
        spec = Engine.load(path, EngineOptions("cpu")).spec
        assert (spec.name, spec.version) == (path.parent.parent.name, path.parent.name)
