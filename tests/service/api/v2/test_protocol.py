"""Messages of the protocol: what is no request is refused with its first fault."""

import json

import pytest

from tests.service.api.v2.inferences import INFER, tensor


@pytest.mark.parametrize("body", [b"", b"junk", b"[" * 100_000, b"\xff\xfe", b'{"inputs": "x"}', b"[" * 2_000_000])
def test_a_body_that_is_no_request_is_400(client, body):
    response = client.post(INFER, content=body)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")


def test_what_is_wrong_is_told_without_looking_at_all_of_it(client):
    """An array of these strings would take 1.5 GB, and their repr seconds."""
    import tracemalloc

    strings = tensor("pixels", [1, 160, 160, 3], "UINT8", data=["a" * 5000, *[""] * 75_000])
    for body in (json.dumps(strings).encode(), b"\xff" * 8_000_000, b'{"inputs": "' + b"x" * 8_000_000 + b'"}'):
        tracemalloc.start()
        response = client.post(INFER, content=body)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (response.status_code, response.json()["code"]) == (400, "malformed_tensor")
        assert len(response.content) < 1000
        assert peak < 8 * len(body) + 30_000_000
