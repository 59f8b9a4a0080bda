"""Every command of the documents is run, in order, as a reader would; a server answers on the port that they name."""

import json
import os
import re
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.conftest import REPOSITORY
from tests.docs.blocks import DOCUMENTS, REASONS, Block, blocks, commands
from tests.serving import PATIENCE, free_port, request, serving

RUN = ("sh", "console", "python")
SHOWN = ("json", "mermaid")
CLIENTS = REPOSITORY / ".venv-clients" / "bin"
BIN = REPOSITORY / ".venv" / "bin"
HERE = Path(__file__).parent
# As the documents name it.
ADDRESS = "127.0.0.1:8000"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    with serving(tmp_path_factory.mktemp("served"), REPOSITORY, "--log-level", "error") as (url, _):
        yield url.removeprefix("http://")


@pytest.fixture
def checkout(astronaut, tmp_path) -> Path:
    """A folder that looks like a reader's checkout, with the pictures that the documents speak of."""
    for name in ("service", "trainer", "tests", "models", "deploy", "Makefile"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    astronaut.save(tmp_path / "face.jpg")
    clip(tmp_path / "clip.mp4")
    (tmp_path / "notes.txt").write_text("no picture")
    for root, seed in (("faces", 0), ("others", 1)):
        rng = np.random.default_rng(seed)
        for label in ("real", "fake"):
            folder = tmp_path / root / label
            folder.mkdir(parents=True)
            for number in range(30):
                left, top = rng.integers(100, 180), rng.integers(0, 60)
                crop = np.array(astronaut.crop((left, top, left + 220, top + 220)))
                if label == "fake":
                    crop[::4] = crop[::4] // 2
                Image.fromarray(crop).save(folder / f"{number:03}.jpg", quality=80 + number % 15)
    return tmp_path


def clip(path: Path) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=24)
        stream.width = stream.height = 240
        for _ in range(24):
            file.mux(stream.encode(av.VideoFrame(240, 240, "yuv420p")))
        file.mux(stream.encode())


def run(block: Block, folder: Path, address: str) -> str:
    """Run one block, and return what it printed."""
    port = str(free_port())
    environment = os.environ | {
        "PATH": f"{BIN}:{os.environ['PATH']}:{CLIENTS}",
        "PYTHONPATH": str(REPOSITORY),
        "REPOSITORY": str(REPOSITORY),
        "SERVED_BRIEFLY": str(HERE / "served_briefly.py"),
        "SERVICE_PORT": port,
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    text = (
        commands(block).replace(ADDRESS, address).replace("--port 8010", f"--port {port}").replace(":8010", f":{port}")
    )
    if block.kind == "python":
        foreign = re.search(r"^(import tritonclient|from kserve|from face_authenticity_client)", text, re.M)
        if foreign and not CLIENTS.exists():
            pytest.skip("needs the environment of the clients: make .venv-clients/installed")
        if foreign:
            del environment["PYTHONPATH"]
        command = [CLIENTS / "python" if foreign else BIN / "python", "-W", "ignore", "-c", text]
    else:
        command = ["bash", "-c", f". {HERE / 'prelude.sh'}\n{text}"]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert ended.returncode == 0, f"{block.document}, line {block.line}:\n{text}\n{ended.stdout}\n{ended.stderr}"[
        -4000:
    ]
    assert "Traceback" not in ended.stderr
    return ended.stdout


@pytest.mark.long
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_command_of_a_document_runs(path, checkout, address):
    if not BIN.exists():
        pytest.skip(f"needs the environment that `make test` makes: '{BIN}' is missing")
    for block in blocks(path):
        if block.reason is None and block.kind in RUN:
            run(block, checkout, address)


def test_what_is_not_run_says_why_and_is_at_least_shell():
    left_out = [block for path in DOCUMENTS for block in blocks(path) if block.reason]
    assert {block.reason for block in left_out} == REASONS
    for block in left_out:
        checked = subprocess.run(["bash", "-n", "-c", commands(block)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_no_block_is_of_a_kind_that_is_neither_run_nor_shown():
    kinds = {(block.document, block.line, block.kind) for path in DOCUMENTS for block in blocks(path)}
    assert [item for item in kinds if item[2] not in (*RUN, *SHOWN)] == []
    assert sum(block.kind in RUN for path in DOCUMENTS for block in blocks(path)) > 20


def test_readme_answer_is_from_the_default_model(address, checkout):
    (shown,) = (block for block in blocks(DOCUMENTS[0]) if block.kind == "console")
    answer = json.loads("".join(line for line in shown.text.splitlines() if not line.startswith("$ ")))
    status, body = request(f"http://{address}/predict", (checkout / "face.jpg").read_bytes())
    assert status == 200
    documented = json.loads(body)
    assert list(answer) == list(documented)
    assert answer["model"] == documented["model"]
    assert answer["thresholds"] == documented["thresholds"]
    bounds = "P(fake) ≥ {fake:.3f}, `real` is P(fake) ≤ {real:.3f},".format(**answer["thresholds"])
    assert bounds.replace("0.", ".") in DOCUMENTS[0].read_text("utf-8")


def test_the_readmes_first_screen_is_as_agreed():
    """One sentence, two commands, one curl with its answer, a small table, three lines on what it cannot do."""
    text = DOCUMENTS[0].read_text("utf-8")
    first, second, *_ = blocks(DOCUMENTS[0])
    assert [line.split("#")[0].strip() for line in first.text.splitlines()] == ["make serve", "make test"]
    assert commands(second).count("curl") == 1
    head = text[: text.index("## Where to go on")]
    assert len(re.findall(r"^\| (?!-)", head, re.M)) <= 5
    assert len(re.findall(r"^- ", head, re.M)) == 3


def slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", [*DOCUMENTS, REPOSITORY / "CHANGELOG.md"], ids=lambda path: path.stem)
def test_every_link_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8")):
        name, _, anchor = target.partition("#")
        linked_file = (path.parent / name) if name else path
        assert linked_file.exists(), target
        if anchor and linked_file.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", linked_file.read_text("utf-8"), re.M)
            assert anchor in {slug(heading) for heading in headings}, target


def test_every_document_can_be_reached_from_the_readme():
    named = set(re.findall(r"\]\(docs/([\w-]+\.md)", DOCUMENTS[0].read_text("utf-8")))
    assert named == {path.name for path in DOCUMENTS[1:]}


def test_the_table_of_false_alarms_is_what_its_arithmetic_says():
    text = (REPOSITORY / "docs" / "limits.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\d.]+) % \| ([\d,]+) \| ([\d,]+) \| (\d+) % \|$", text, re.M)
    assert len(rows) == 4
    for share, expected_hits, alarms, right in rows:
        fakes = 100_000 * float(f"0{share}" if share.startswith(".") else share) / 100
        hits, misses = fakes * 0.54, (100_000 - fakes) * 0.01
        assert float(expected_hits.replace(",", "")) == pytest.approx(hits, abs=0.5)
        assert float(alarms.replace(",", "")) == pytest.approx(misses, abs=0.5)
        assert int(right) == round(100 * hits / (hits + misses))
