"""Reasons: every one is documented, and in the API."""

from service.contract.verdict.judgement import REASONS
from tests.conftest import REPOSITORY


def test_every_reason_is_documented_and_in_the_api(client):
    document = (REPOSITORY / "docs" / "faces.md").read_text("utf-8")
    schema = client.get("/openapi.json").text
    for reason, meaning in REASONS.items():
        assert f"| `{reason}` |" in document
        assert meaning in document
        assert reason in schema
