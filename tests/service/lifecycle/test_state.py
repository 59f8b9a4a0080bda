"""The state of an application, before, while and after it serves."""

from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings


def test_before_start_and_after_stop_it_is_live_not_ready(tiny_engine):
    app = create_app(Settings(), tiny_engine)
    client = TestClient(app)
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").json()["code"] == "not_ready"
    with client:
        assert client.get("/readyz").status_code == 200
    assert client.get("/readyz").status_code == 503
    assert client.post("/predict").status_code == 503
