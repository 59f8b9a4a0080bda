"""API keys: who is let in, to what, and how a file of them may be wrong."""

import hmac
import subprocess
import sys

import pytest

from service.lifecycle.keys import Keys, KeysError, new_key
from tests.conftest import REPOSITORY


@pytest.fixture
def keys(tmp_path):
    """Two keys, and the file that lets them in."""
    made = [new_key(name) for name in ("alice", "bob")]
    path = tmp_path / "keys.txt"
    path.write_text("# of the team\n\n" + "\n".join(line for _, line in made) + "\n")
    return path, [key for key, _ in made]


@pytest.fixture
def guarded(make_client, keys):
    return make_client(api_keys=keys[0], faces="off")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_each_key_is_let_in_and_named(keys):
    path, (alice, bob) = keys
    loaded = Keys.load(path)
    assert (loaded.holder(alice), loaded.holder(bob)) == ("alice", "bob")
    assert [loaded.holder(key) for key in (alice[:-1], alice + "x", "", "\udcff", path.read_text())] == [None] * 5


def test_the_file_holds_no_key(keys):
    path, made = keys
    assert [key for key in made if key in path.read_text() or key.removeprefix("fa_") in path.read_text()] == []


def test_every_hash_is_compared_in_constant_time_whichever_fits(keys, monkeypatch):
    path, (alice, bob) = keys
    loaded, compared = Keys.load(path), []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or compare(a, b))
    for key in (alice, bob, "wrong"):
        compared.clear()
        loaded.holder(key)
        assert compared == [digest for _, digest in loaded.holders]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch", "/v2/models/tiny/infer"])
def test_predict_without_key_is_401_before_the_body_is_read(guarded, path):
    for headers in ({}, bearer("wrong"), {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer"}):
        response = guarded.post(path, content=b"x", headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"


def test_with_a_key_it_is_answered(guarded, keys, astronaut, encode):
    for key in keys[1]:
        response = guarded.post("/predict", files={"file": encode(astronaut)}, headers=bearer(key))
        assert response.status_code == 200
    assert guarded.get("/model", headers={"Authorization": f"bearer {keys[1][0]}"}).status_code == 200


def test_only_probes_metrics_and_documents_need_no_key(guarded):
    for path in ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/docs", "/openapi.json"):
        assert guarded.get(path).status_code == 200
    for path in ("/model", "/v2", "/v2/models/tiny", "/nowhere", "/healthz/", "/static-offline-docs"):
        assert guarded.get(path).status_code == 401


def test_the_document_says_which_operations_ask_for_a_key(guarded, client):
    document = guarded.get("/openapi.json").json()
    assert document["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    assert document["paths"]["/predict"]["post"]["security"] == [{"key": []}]
    assert "security" not in document["paths"]["/healthz"]["get"]
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "contains no key, so every request would be refused"),
        ("# none\n", "contains no key"),
        ("alice fa_secret\n", "line 1 is not a name and a SHA-256"),
        ("alice " + "0" * 64 + "\nbob\n", "line 2 is not a name and a SHA-256"),
        ("a b " + "0" * 64, "line 1 is not"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_invalid_key_file_is_refused_without_its_content(tmp_path, text, words):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KeysError, match=words) as caught:
        Keys.load(path)
    assert "secret" not in str(caught.value)


def test_the_command_prints_the_line_and_beside_it_the_key(tmp_path):
    command = [sys.executable, "-m", "service", "key", "carol"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    path = tmp_path / "keys"
    path.write_text(ended.stdout)
    assert Keys.load(path).holder(ended.stderr.strip()) == "carol"
    ended = subprocess.run([*command[:-1], "a b"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "service: the name 'a b' is not 1 to 64 letters, digits, '.', '_' or '-'\n"


def test_a_broken_file_stops_the_start_with_one_line(tmp_path):
    path = tmp_path / "keys"
    path.write_text("nonsense\n")
    command = [sys.executable, "-m", "service", "--port", "0", "--api-keys", str(path)]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("service: setting --api-keys (SERVICE_API_KEYS): ")
    assert len(ended.stderr.splitlines()) == 1
