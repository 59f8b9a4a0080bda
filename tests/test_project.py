"""The project's own promises: what installs, what imports what, what a commit may not hold."""

import json
import re
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, request, serving

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


def test_no_tracked_text_names_an_index_host_or_a_path_of_a_machine():
    bad = re.compile("|".join((r"py" + r"pi\.org", r"python" + r"hosted", r"registry\.npm" + r"js", "/ro" + "ot/")))
    found = []
    for path in tracked_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.name}: {match.group()}" for match in bad.finditer(text)]
    assert found == []


def test_the_service_starts_without_the_trainers_libraries():
    """Blocks the imports, then builds the whole command line's module tree."""
    program = (
        "import sys\n"
        "for name in 'tensorflow keras tf2onnx onnx trainer sklearn scipy matplotlib typer'.split():\n"
        "    sys.modules[name] = None\n"
        "import service.__main__\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True)


def test_the_trainer_without_its_extra_is_one_clear_line():
    program = "import sys; sys.modules['typer'] = None; import trainer.__main__"
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("trainer: typer is not installed; the extra 'trainer' has it")


def test_the_service_without_its_packages_is_one_clear_line():
    program = "import sys; sys.modules['pydantic_settings'] = None; import service.__main__"
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("service: pydantic_settings is not installed; run `make serve`")


def test_the_log_says_where_it_listens(tmp_path):
    with serving(tmp_path, REPOSITORY) as (address, process):
        first = json.loads(process.stderr.readline())
    assert first["message"] == "listening"
    assert f"http://{first['host']}:{first['port']}" == address


def test_a_variable_for_several_workers_does_not_stop_one_process(tmp_path):
    """prometheus_client reads the folder of its series when it is imported."""
    with serving(tmp_path, REPOSITORY, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "absent")) as (address, _):
        assert request(f"{address}/metrics")[0] == 200


def test_a_real_server_answers_logs_json_and_ends_cleanly_on_sigterm(astronaut, encode, tmp_path):
    with serving(tmp_path, REPOSITORY) as (address, process):
        status, body = request(f"{address}/predict", encode(astronaut))
        assert status == 200
        assert json.loads(body)["verdict"] in ("real", "fake", "uncertain")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line["message"] == "request" and line.get("path") == "/predict" for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "99999"], "service: setting --port (SERVICE_PORT): "),
        (["--model-sha256", "abc"], "service: setting --model-sha256 (SERVICE_MODEL_SHA256): "),
        (["--model", "/dev/zero"], "service: model file '/dev/zero' is not a regular file"),
        (["--provider", "tpu"], "service: setting --provider (SERVICE_PROVIDER): "),
        (["--host", "192.0.2.1"], "service: cannot listen on 192.0.2.1 port 8000: Cannot assign requested address"),
        (["--faces", "off", "--check-recompression", "true"], "service: setting --check-recompression (SERVICE_CHECK_"),
        (
            ["--faces", "crop", "--model", "models/dilated-cnn-128/0.1.0/model.onnx"],
            "service: setting --faces (SERVICE_",
        ),
        (["--host", ""], "service: setting --host (SERVICE_HOST): "),
        (["--max-queue", "0"], "service: setting --max-queue (SERVICE_MAX_QUEUE): "),
        (
            ["--deadline-s", "1", "--batch-window-ms", "1000"],
            "service: setting --batch-window-ms (SERVICE_BATCH_WINDOW_MS): is not shorter than the dead",
        ),
        (
            ["--workers", "5000"],
            "service: setting --workers (SERVICE_WORKERS): is more than the ",
        ),
        (
            ["--workers", "2", "--metrics-dir", "README.md/series"],
            "service: setting --metrics-dir (SERVICE_METRICS_DIR): cannot write to 'README.md/series': ",
        ),
        (
            ["--telemetry", "true"],
            "service: setting --telemetry (SERVICE_TELEMETRY): needs OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (["--model", "absent.onnx"], "service: model file 'absent.onnx' cannot be read: No such file or directory"),
    ],
)
def test_a_start_that_cannot_be_is_one_line(arguments, message):
    ended = subprocess.run(
        [sys.executable, "-m", "service", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith(message)
    assert "default factory" not in ended.stderr


def test_workers_that_cannot_start_say_why_once_and_in_the_end():
    command = [sys.executable, "-m", "service", "--workers", "2", "--port", "0", "--model", "absent.onnx"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("service: model file 'absent.onnx' cannot be read: No such file")
    assert "Traceback" not in ended.stderr


def test_the_wheel_carries_the_default_model_and_serves_it_from_any_folder(astronaut, encode, tmp_path):
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
