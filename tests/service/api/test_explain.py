"""``POST /explain``: what each part of a picture said, as numbers and as a picture."""

import io

import numpy as np
import pytest
from PIL import Image

from service.api.schemas import Explanation
from service.app import create_app
from service.contract.faces.face import FINDER
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from service.inference.model_file import ModelFileError
from service.settings import Settings


@pytest.fixture(scope="session")
def mapping_engine(make_model, make_spec) -> Engine:
    spec = make_spec(face_margin=1.3, face_finder=FINDER)
    return Engine.from_bytes(make_model(spec, evidence=True), EngineOptions("cpu", 1))


@pytest.fixture
def picture(astronaut) -> Image.Image:
    """Its left half is black, which the tiny model calls real."""
    portrait = astronaut.crop((120, 0, 320, 200))
    portrait.paste((0, 0, 0), (0, 0, 60, 200))
    return portrait


@pytest.fixture
def explain(make_client, tiny_engine, mapping_engine, encode):
    """Return a function that asks a service with either model."""
    from fastapi.testclient import TestClient

    def ask(picture: Image.Image, mapping: bool, query: str = "", **settings: object):
        app = create_app(Settings(**settings), mapping_engine if mapping else tiny_engine)
        with TestClient(app, raise_server_exceptions=False) as client:
            return client.post(f"/explain{query}", files={"file": encode(picture, "PNG")})

    return ask


@pytest.mark.parametrize(("mapping", "method", "size"), [(True, "map", 6), (False, "occlusion", 8)])
def test_the_answer_is_the_predictions_and_a_grid(explain, picture, mapping, method, size):
    response = explain(picture, mapping)
    answer = response.json()
    Explanation.model_validate(answer, extra="forbid")
    grid = answer["evidence"]
    assert (grid["method"], grid["rows"], grid["columns"]) == (method, size, size)
    assert grid["box"] == {"left": 0, "top": 0, "width": 200, "height": 200}
    values = np.array(grid["values"])
    assert values.shape == (size, size)
    if method == "map":
        p = answer["probabilities"]["fake"]
        assert values.mean() == pytest.approx(np.log(p / (1 - p)), abs=1e-3)
        assert values[:, 0].max() < 0


def test_of_several_faces_the_one_that_decided_is_explained(explain, astronaut):
    portrait = astronaut.crop((120, 20, 320, 220))
    pair = Image.new("RGB", (900, 600), "black")
    pair.paste(portrait.point(lambda value: value // 2).resize((420, 420)), (20, 100))
    pair.paste(portrait.point(lambda value: 110 + value // 2).resize((300, 300)), (540, 200))
    answer = explain(pair, True, faces="crop").json()
    assert answer["verdict"] == answer["faces"][1]["verdict"] == "fake"
    assert answer["evidence"]["box"]["left"] > 450


def test_the_picture_is_shown_with_the_evidence_over_it(explain, picture):
    large = picture.resize((2000, 2000))
    response = explain(large, True, "?format=png")
    assert (response.status_code, response.headers["content-type"]) == (200, "image/png")
    shown = np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB")).astype(int)
    assert shown.shape == (1024, 1024, 3)
    left = shown[300:700, 50:200].mean(axis=(0, 1))
    assert left[2] > left[0] + 40  # black before, blue now: it speaks for real


@pytest.mark.parametrize("query", ["?format=svg", "?format=", "?format=png%00"])
def test_another_format_is_refused_with_its_name(explain, picture, query):
    response = explain(picture, True, query)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_parameter")
    assert "not json or png" in response.json()["detail"]


def test_a_picture_is_refused_as_predict_refuses_it(make_client):
    client = make_client()
    for payload in (b"", b"GIF89a", b"\xff\xd8\xff"):
        alone, explained = (client.post(path, files={"file": payload}) for path in ("/predict", "/explain"))
        assert (explained.status_code, explained.json()["code"]) == (alone.status_code, alone.json()["code"])


def test_a_map_that_the_logits_are_not_the_mean_of_is_refused(make_model):
    import onnx

    graph = onnx.load_from_string(make_model(evidence=True))
    graph.graph.node[-1].input[0] = "centred"
    with pytest.raises(ModelFileError):
        Engine.from_bytes(graph.SerializeToString(), EngineOptions("cpu", 1))
    graph = onnx.load_from_string(make_model(evidence=True))
    graph.graph.node.insert(6, onnx.helper.make_node("Neg", ["evidence"], ["negated"]))
    graph.graph.node[-1].input[0] = "negated"
    with pytest.raises(ModelFileError, match="logits are not the mean of the evidence"):
        Engine.from_bytes(graph.SerializeToString(), EngineOptions("cpu", 1))


def test_a_map_of_a_sigmoid_pair_is_refused(make_model, make_spec):
    with pytest.raises(ModelFileError, match="sigmoid"):
        Engine.from_bytes(make_model(make_spec(output_kind="sigmoid"), evidence=True), EngineOptions("cpu", 1))
