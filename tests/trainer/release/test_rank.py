"""Ranking of runs by their validation parts."""

import json

from tests.trainer.runs import GOOD


def test_runs_are_ranked_by_their_validation_parts(trainer, run_with, elsewhere, capsys):
    good, bad = run_with("1"), run_with("2", weights=-GOOD)
    assert trainer("rank", bad, good, "--elsewhere", elsewhere, "--json") == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], first["mean_area"], first["reals"]) == ("run-1", 1.0, {"others": 1.0})
    assert (second["run"], second["mean_area"], second["fakes"]) == ("run-2", 0.0, {"others": 0.0})
    config = json.loads((bad / "config.json").read_text())
    (bad / "config.json").write_text(json.dumps(config | {"split_seed": 4711}))
    assert trainer("rank", good, bad) == 0
    table = capsys.readouterr().out
    assert "half size" in table
    assert table.count("4711") == 1


def test_a_run_without_a_validation_part_is_not_ranked(trainer, run_with, capsys):
    run = run_with("1")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"split": "as-published"}))
    assert trainer("rank", run) == 1
    assert "has no separate validation part" in capsys.readouterr().err.replace("\n", " ")


def test_runs_on_different_data_are_not_ranked(trainer, run_with, capsys):
    first, second = run_with("1"), run_with("2")
    config = json.loads((second / "config.json").read_text())
    config["dataset"]["fingerprint"] = "1" * 64
    (second / "config.json").write_text(json.dumps(config))
    assert trainer("rank", first, second) == 1
    assert "2 different sets of pictures" in capsys.readouterr().err.replace("\n", " ")
