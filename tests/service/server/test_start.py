"""The start: a server that listens, logs and stops, or one line that says why not."""

import json
import signal
import subprocess
import sys

from tests.conftest import REPOSITORY
from tests.serving import PATIENCE, request, serving


def test_the_log_says_where_it_listens(tmp_path):
    with serving(tmp_path, REPOSITORY) as (address, process):
        first = json.loads(process.stderr.readline())
    assert first["message"] == "listening"
    assert f"http://{first['host']}:{first['port']}" == address


def test_variable_for_several_workers_is_allowed_with_one(tmp_path):
    """prometheus_client reads the folder of its series when it is imported."""
    with serving(tmp_path, REPOSITORY, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "absent")) as (address, _):
        assert request(f"{address}/metrics")[0] == 200


def test_real_server_answers_logs_json_and_ends_on_sigterm(astronaut, encode, tmp_path):
    with serving(tmp_path, REPOSITORY) as (address, process):
        status, body = request(f"{address}/predict", encode(astronaut))
        assert status == 200
        assert json.loads(body)["verdict"] in ("real", "fake", "uncertain")
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    assert any(line["message"] == "request" and line.get("path") == "/predict" for line in lines)


def test_workers_that_cannot_start_say_why_once_and_in_the_end():
    command = [sys.executable, "-m", "service", "--workers", "2", "--port", "0", "--model", "absent.onnx"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("service: model file 'absent.onnx' cannot be read: No such file")
    assert "Traceback" not in ended.stderr
