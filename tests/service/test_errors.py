"""Error codes: documented, and returned for what the framework refuses."""

import re

import pytest

from service.errors import ERROR_CODES
from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"


ERRORS = (DOCS / "errors.md").read_text("utf-8")


@pytest.mark.parametrize("code", ERROR_CODES)
def test_error_codes_are_documented_with_status_and_meaning(code):
    kind = ERROR_CODES[code]
    assert f"| `{code}` | {kind.status} | {kind.meaning} |" in ERRORS


def test_the_documents_name_no_error_code_that_there_is_not():
    assert set(re.findall(r"^\| `([a-z_]+)` \| \d{3} \|", ERRORS, re.M)) == set(ERROR_CODES)


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/nope", "not_found"), ("GET", "/predict", "method_not_allowed")]
)
def test_the_frameworks_own_refusals_are_problems_too(client, method, path, code):
    response = client.request(method, path)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code
