"""``trainer predict`` as a person runs it."""

import json

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.settings import Settings


@pytest.mark.parametrize("mode", ["off", "report", "crop"])
def test_the_service_answers_as_trainer_predict_does(fitted, faces, trainer, capsys, mode):
    picture = faces / "fake" / "000.jpg"
    assert trainer("predict", fitted / "model.onnx", picture, "--faces", mode) == 0
    predicted = json.loads(capsys.readouterr().out)
    with TestClient(
        create_app(Settings(faces=mode), Engine.load(fitted / "model.onnx", EngineOptions("cpu")))
    ) as client:
        served = client.post("/predict", files={"file": picture.read_bytes()}).json()
    assert predicted.pop("path") == str(picture)
    assert served.pop("probabilities") == pytest.approx(predicted.pop("probabilities"), abs=1e-6)
    assert served.pop("confidence") == pytest.approx(predicted.pop("confidence"), abs=1e-6)
    assert {key: served[key] for key in predicted if key != "faces"} == {
        key: value for key, value in predicted.items() if key != "faces"
    }
    boxes = [[face["box"] for face in answer.get("faces", ())] for answer in (served, predicted)]
    assert boxes[0] == boxes[1]


def test_predict_names_a_bad_file_and_goes_on(fitted, trainer, faces, tmp_path, capsys):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"junk")
    assert trainer("predict", fitted / "model.onnx", bad, tmp_path / "absent.jpg", faces / "real" / "000.jpg") == 1
    first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["error"]["code"] == "unsupported_format"
    assert second["error"]["code"] == "unreadable"
    assert third["verdict"] in ("real", "fake", "uncertain")
