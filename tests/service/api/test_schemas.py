"""The schemas: what the documents promise is what is answered."""

import hashlib

import pytest

from service.api.schemas import Prediction


def test_the_documented_example_is_an_answer_that_could_be():
    example = Prediction.model_config["json_schema_extra"]["example"]
    assert Prediction.model_validate(example).model_dump(exclude_none=True) == example


def test_the_answer_has_exactly_the_promised_fields(make_client, jpeg):
    answer = make_client(faces="off").post("/predict", files={"file": jpeg}).json()
    assert set(answer) == {
        "verdict",
        "confidence",
        "probabilities",
        "thresholds",
        "provenance",
        "image",
        "model",
        "timings_ms",
    }
    assert answer["verdict"] in ("real", "fake", "uncertain")
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0, abs=1e-12)
    assert answer["thresholds"] == {"real": 0.2, "fake": 0.8}
    assert answer["image"] == {
        "format": "JPEG",
        "width": 512,
        "height": 512,
        "sha256": hashlib.sha256(jpeg).hexdigest(),
    }
    assert set(answer["model"]) == {"name", "version", "sha256"}
    assert set(answer["timings_ms"]) == {"decode", "queue", "inference", "total"}
    assert answer["timings_ms"]["total"] >= answer["timings_ms"]["inference"] > 0
