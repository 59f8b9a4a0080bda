"""The supply chain: what may be depended on, and how it is pinned."""

import re
import tomllib

import pytest

from tests.licences import LIST, LOCKS, REPOSITORY, allowed, installed, locked, name_of, table

ALL_LOCKS = (*LOCKS, "service-gpu.lock", "service-media.lock", "dev.lock")


def direct() -> dict[str, list[str]]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return {"service": project["dependencies"], **project["optional-dependencies"]}


@pytest.mark.parametrize("lock", ALL_LOCKS)
def test_lock_pins_version_and_hash_and_names_no_index(lock):
    text = (REPOSITORY / lock).read_text("utf-8")
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())
    assert len(blocks) > 20
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._-]+==\S+( ;[^\\]*)? \\\n", block), block[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block[:80]
    assert "://" not in text
    assert not re.search(r"^(-e|-i|--index|--extra-index|--find-links|git\+)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_installed_packages_have_an_allowed_licence(lock):
    licences = installed()
    refused = {
        name: licences.get(name, "not installed here") for name in locked(lock) if not allowed(licences.get(name, ""))
    }
    assert not refused


def test_the_list_of_licences_is_that_of_the_locks():
    assert LIST.read_text("utf-8") == table(), "make licences"


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0", True),
        ("MIT AND GPL-2.0-only", False),
        ("GPL-3.0", False),
        ("AGPL-3.0-or-later", False),
        ("UNKNOWN", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_the_policy_refuses_what_it_does_not_name(licence, fine):
    assert allowed(licence) is fine


def test_direct_dependencies_have_a_lower_bound_and_no_url():
    for extra, requirements in direct().items():
        for requirement in requirements:
            assert "@" not in requirement, (extra, requirement)
            assert "face-authenticity" in requirement or re.search(r"[>=]=", requirement), (extra, requirement)


def test_the_service_installs_nothing_that_it_was_not_given():
    """What one more direct dependency drags in shows here, and is to be looked at."""
    names = {name_of(re.split(r"[>=<\[; ]", requirement)[0]) for requirement in direct()["service"]}
    brought = set(locked("service.lock")) - names
    assert brought == {
        "annotated-doc", "annotated-types", "anyio", "click", "flatbuffers", "h11", "idna", "markdown-it-py",
        "mdurl", "packaging", "pydantic-core", "pygments", "python-dotenv", "starlette", "typing-extensions",
        "typing-inspection",
    }  # fmt: skip


def test_what_the_service_must_not_have_is_in_none_of_its_locks():
    heavy = {"tensorflow", "keras", "tf2onnx", "onnx", "torch", "jax", "opencv-python-headless", "requests", "httpx"}
    for lock in ("service.lock", "service-gpu.lock"):
        assert not heavy & set(locked(lock))
