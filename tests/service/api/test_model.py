"""``GET /model``: what is loaded, and where it runs."""

from service.settings import Settings


def test_model_tells_what_is_loaded_and_where_it_runs(client, tiny_engine):
    facts = client.get("/model").json()
    assert facts["sha256"] == tiny_engine.sha256
    assert facts["execution_provider"] == "CPUExecutionProvider"
    assert facts["precision"] == "float32"
    assert facts["input"] == {
        "height": 48,
        "width": 48,
        "resize_filter": "bicubic",
        "resize_fit": "crop",
        "exif_policy": "apply",
        "framing": "whole",
    }
    assert facts["faces"] == {
        "mode": "report",
        "finder": "yunet-2023mar",
        "margin": None,
        "min_face": 48,
        "max_faces": 32,
        "check_recompression": False,
    }
    assert facts["limits"]["max_pixels"] == Settings().max_pixels
    assert facts["threads"]["inference"] == 1
