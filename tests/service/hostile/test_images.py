"""Hostile pictures, by form and as raw body: each gets what the policy says, and nothing gets a 5xx."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from service.contract.image.decode import decode
from service.contract.image.image_errors import ImageError, Limits
from tests.conftest import PUBLIC_DOMAIN, REPOSITORY
from tests.service.hostile.families import FAMILIES, SCORED, Case


def picture() -> Image.Image:
    with Image.open(PUBLIC_DOMAIN / "astronaut.png") as astronaut:
        return astronaut.convert("RGB").resize((160, 120))


def outcome(payload: bytes) -> str:
    try:
        decode(payload, Limits(), "apply")
    except ImageError as error:
        return error.code
    return "scored"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_gets_what_the_policy_says(family):
    cases = FAMILIES[family](picture())
    wrong = [(case.name, result) for case in cases if (result := outcome(case.payload)) not in case.outcomes]
    assert not wrong


def check(client, case: Case, **request: object) -> None:
    response = client.post("/predict", **request)
    body = response.json()
    result = body["code"] if response.status_code != 200 else "scored"
    assert response.status_code < 500, (case.name, body)
    assert result in case.outcomes, (case.name, body)
    if result == "scored":
        assert body["image"]["sha256"] == hashlib.sha256(case.payload).hexdigest()
    else:
        assert len(response.content) < 1000


@pytest.mark.parametrize("family", FAMILIES)
def test_the_service_answers_a_family_as_the_policy_says(client, family):
    """By form and as raw body, under names and types that lie."""
    for number, case in enumerate(FAMILIES[family](picture())):
        if number % (5 if family.startswith(("cut", "changed")) else 1):
            continue
        check(client, case, files={"file": ("../../etc/passwd\0.gif", case.payload, "text/html")})
        if case.payload:
            check(client, case, content=case.payload, headers={"Content-Type": "image/x-icon"})


@pytest.mark.parametrize("family", ["bombs", "polyglots", "several pictures", "found in review"])
def test_metadata_and_extra_bytes_leave_probabilities_equal(client, family):
    pairs = [case for case in FAMILIES[family](picture()) if case.like]
    assert pairs
    for case in pairs:
        first, second = (
            client.post("/predict", content=payload, headers={"Content-Type": "image/*"}).json()
            for payload in (case.payload, case.like)
        )
        assert first["probabilities"] == second["probabilities"], case.name


LIMITED = """
import resource, sys
from tests.service.hostile.families import FAMILIES
from tests.service.hostile.test_images import outcome, picture
cases = [case for family in sys.argv[1:] for case in FAMILIES[family](picture())]
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
# 16 bytes a pixel at the limit of 50 megapixels.
resource.setrlimit(resource.RLIMIT_AS, (taken + 16 * 50_000_000,) * 2)
for case in cases:
    found = outcome(case.payload)
    assert found in case.outcomes, (case.name, found)
print(len(cases))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux, where memory can be limited")
def test_no_bomb_takes_more_memory_than_the_pixel_limit_allows():
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, "bombs", "lying headers", "shapes", "several pictures"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50


def test_every_family_has_cases_of_its_own():
    for family, make in FAMILIES.items():
        cases = list(make(picture()))
        assert len({case.name for case in cases}) == len(cases) > 5, family
        assert all(case.outcomes for case in cases)
        assert all(case.outcomes >= SCORED for case in cases if case.like)
