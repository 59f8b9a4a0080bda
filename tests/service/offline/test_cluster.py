"""Scoring on a Ray cluster: rows, addresses that are none, and options that reach the workers."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from service.offline.score_options import ScoreOptions
from tests.conftest import REPOSITORY
from tests.service.offline.scoring import command, lines, rows_of, run
from tests.serving import PATIENCE, free_port, until


def test_unreachable_cluster_is_reported_at_once(archive, tmp_path):
    """Of the second Ray itself would wait for minutes."""
    output = tmp_path / "out.csv"
    address = f"127.0.0.1:{free_port()}"
    said = run(archive, "--output", output, "--engine", "ray", "--ray-address", address, status=2)
    assert said == f"service: setting --ray-address: '{address}' does not answer: Connection refused"
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", address.split(":")[1], "--bind", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        time.sleep(1)
        said = run(archive, "--output", output, "--engine", "ray", "--ray-address", address, status=2)
    finally:
        server.kill()
        server.wait()
    assert said == f"service: setting --ray-address: the server at '{address}' is not a Ray cluster"
    assert not list(tmp_path.glob("out*"))


def workers() -> list[int]:
    """Return the Ray processes that hold a scoring actor."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"MapWorker(MapBatches(Worker))" in (entry / "cmdline").read_bytes():
                pids.append(int(entry.name))
        except OSError:
            continue
    return pids


@pytest.mark.long
def test_ray_workers_score_all_though_one_is_killed(many, model, tmp_path):
    output, journal = tmp_path / "out.jsonl", tmp_path / "out.jsonl.journal"
    process = subprocess.Popen(
        command(many, "--output", output, "--model", model, "--engine", "ray", "--ray-workers", "2"),
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: lines(journal) > 5 and len(workers()) == 2)
        victim = workers()[0]
        os.kill(victim, signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, said[-1500:]
    rows = rows_of(output)
    assert list(rows) == sorted(str(path) for path in many.iterdir())
    assert Counter("error" in row for row in rows.values()) == {False: 400}
    until(lambda: not workers())


def test_options_reach_a_worker_of_a_cluster_as_they_were(tmp_path, model):
    """They travel as JSON, which has no paths."""
    from service.offline.cluster import _with_paths

    anchors = tmp_path / "anchors.pem"
    anchors.write_text("-----BEGIN CERTIFICATE-----\n")
    options = ScoreOptions(output=tmp_path / "o.csv", model=model, trust_anchors=anchors)
    there = ScoreOptions.model_construct(**_with_paths(options.model_dump(mode="json")))
    assert there.read_anchors() == options.read_anchors() == anchors.read_text()
    assert (there.model, there.face_policy, there.limits) == (model, options.face_policy, options.limits)
