"""Fixtures of ``/v2``."""

import pytest


@pytest.fixture
def png(astronaut, encode) -> bytes:
    return encode(astronaut, "PNG")
