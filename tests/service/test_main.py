"""The command ``service``: one line where it cannot start."""

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


def test_the_service_without_its_packages_is_one_clear_line():
    program = "import sys; sys.modules['pydantic_settings'] = None; import service.__main__"
    ended = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("service: pydantic_settings is not installed; run `make serve`")


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
