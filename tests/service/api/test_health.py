"""Probes: alive, and ready."""


def test_healthz_says_alive(client):
    assert client.get("/healthz").json() == {"status": "alive"}


def test_readyz_says_ready_once_the_service_has_started(client):
    assert client.get("/readyz").json() == {"status": "ready"}
