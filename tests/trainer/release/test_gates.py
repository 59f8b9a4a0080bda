"""Release gates: each fails on its own metric only."""

import copy
from dataclasses import replace

import pytest

from trainer.evaluation.cost import Cost
from trainer.release.gates import Measured, failed_gates, gates


def result(**changes: float) -> dict:
    """An assessment with two sources, of which ``pair`` holds both classes."""
    row = {"real_called_fake": 0.01, "roc_auc": None}
    pair = {"real_called_fake": 0.01, "roc_auc": 0.95}
    tier = {"kind": "tier", "roc_auc": 0.98, "sources": {"pair": 0.95, "photos": None}}
    return {
        "pooled": {"ece": 0.02, "balanced_accuracy": 0.9, "roc_auc": 0.98},
        "sources": {"pair": pair, "photos": dict(row), "fakes": {"real_called_fake": None, "roc_auc": None}},
        "robustness": {
            "conditions": [dict(tier, name="clean"), dict(tier, name="web"), copy.deepcopy(dict(tier, name="hard"))],
            "flips": {"rate": 0.02},
        },
        "drawings": {"sure": 0.04},
    }


def measured() -> Measured:
    sources = {"lfw": {"real_called_fake": 0.0, "roc_auc": None}, "swaps": {"real_called_fake": 0.0, "roc_auc": 0.6}}
    away = {"pooled": {}, "sources": sources, "robustness": None}
    return Measured(result(), away, Cost(4.0, 3.0))


def failures(candidate: Measured, published: Measured | None = None) -> list[str]:
    return [said.split(":")[0] for said in failed_gates(gates(candidate, published or measured()))]


def test_a_model_as_good_as_the_published_one_passes_every_gate():
    results = gates(measured(), measured())
    assert failed_gates(results) == []
    assert len({gate.name for gate in results}) == len(results) == 15


def changed(path: tuple, value: object) -> Measured:
    results = measured()
    section = results.own
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    return results


@pytest.mark.parametrize(
    ("path", "still_good", "worse", "gate"),
    [
        (("pooled", "roc_auc"), 0.976, 0.974, "AUC, clean"),
        (("robustness", "conditions", 2, "roc_auc"), 0.976, 0.974, "AUC, hard"),
        (("sources", "pair", "roc_auc"), 0.941, 0.939, "AUC of pair, clean"),
        (("robustness", "conditions", 2, "sources"), {"pair": 0.941}, {"pair": 0.939}, "AUC of pair, hard"),
        (("sources", "photos", "real_called_fake"), 0.02, 0.021, "reals of photos not called fake"),
        (("pooled", "ece"), 0.03, 0.031, "calibration error (ECE)"),
        (("pooled", "balanced_accuracy"), 0.891, 0.889, "called by their name, mean of both classes"),
        (("robustness", "flips", "rate"), 0.03, 0.031, "verdicts that flip"),
        (("robustness", "flips", "rate"), 0.0, None, "verdicts that flip"),
        (("drawings", "sure"), 0.05, 0.051, "drawings with a sure verdict"),
    ],
)
def test_a_gate_fails_on_a_worse_figure_and_names_itself(path, still_good, worse, gate):
    assert failures(changed(path, still_good)) == []
    assert failures(changed(path, worse)) == [gate]


@pytest.mark.parametrize(
    ("rate", "before", "passes"), [(0.0449, 0.04, True), (0.0451, 0.04, False), (0.0299, 0.01, True)]
)
def test_flip_limit_allows_chance_if_published_missed_the_aim(rate, before, passes):
    published = changed(("robustness", "flips", "rate"), before)
    assert (failures(changed(("robustness", "flips", "rate"), rate), published) == []) == passes
    (gate,) = [gate for gate in gates(measured(), published) if gate.name == "verdicts that flip"]
    assert gate.published == before


def test_sources_elsewhere_have_gates_of_their_own():
    candidate = measured()
    candidate.elsewhere["sources"]["lfw"]["real_called_fake"] = 0.03
    candidate.elsewhere["sources"]["swaps"]["roc_auc"] = 0.5
    assert failures(candidate) == ["AUC of swaps, elsewhere", "reals of lfw not called fake, elsewhere"]


@pytest.mark.parametrize(
    ("cost", "before", "expected_failures"),
    [
        (Cost(5.0, 4.0), Cost(1.0, 1.0), []),  # within the aims, whatever went before
        (Cost(6.5, 4.5), Cost(6.0, 5.0), []),  # beyond them, as what went before was
        (Cost(6.7, 3.0), Cost(6.0, 5.0), ["milliseconds a face on one core"]),
        (Cost(4.0, 5.1), Cost(6.0, 5.0), ["megabytes"]),
    ],
)
def test_cost_is_held_to_its_aim_or_to_what_went_before(cost, before, expected_failures):
    assert failures(replace(measured(), cost=cost), replace(measured(), cost=before)) == expected_failures


def test_a_published_model_under_an_aim_is_the_limit():
    weak = changed(("sources", "photos", "real_called_fake"), 0.05)
    assert failures(weak, weak) == []
    assert failures(changed(("sources", "photos", "real_called_fake"), 0.06), weak) == [
        "reals of photos not called fake"
    ]


def test_published_model_without_robustness_gates_the_rest():
    before = measured()
    before.own["robustness"] = None
    results = gates(measured(), before)
    assert failed_gates(results) == []
    names = [gate.name for gate in results]
    assert "AUC of pair, clean" in names
    assert "AUC of pair, hard" not in names
    assert "verdicts that flip" in names


def test_what_the_candidate_was_not_measured_on_fails_its_gates():
    easier = measured()
    easier.own["sources"] = {"photos": easier.own["sources"]["photos"]}
    easier.own["robustness"]["conditions"][2]["sources"] = {}
    said = failed_gates(gates(easier, measured()))
    assert said == [
        "AUC of pair, clean: not measured",
        "AUC of pair, hard: not measured",
        "reals of pair not called fake: not measured",
    ]


def test_what_was_measured_elsewhere_is_measured_again():
    nowhere = replace(measured(), elsewhere=None)
    assert failed_gates(gates(nowhere, measured())) == [
        "AUC of swaps, elsewhere: not measured",
        "reals of lfw not called fake, elsewhere: not measured",
        "reals of swaps not called fake, elsewhere: not measured",
    ]


def test_reals_of_a_fakes_only_source_are_held_to_the_aim():
    candidate = changed(("sources", "fakes", "real_called_fake"), 0.03)
    assert failures(candidate) == ["reals of fakes not called fake"]


def test_slack_does_not_add_up_over_releases():
    previous_limits = {"AUC, clean": 0.978}
    results = gates(changed(("pooled", "roc_auc"), 0.977), measured(), previous_limits=previous_limits)
    assert failed_gates(results) == ["AUC, clean: 0.977, under 0.978"]


def test_a_figure_that_is_not_a_number_fails_its_gate():
    assert failures(changed(("pooled", "ece"), float("nan"))) == ["calibration error (ECE)"]


def test_where_nothing_is_published_the_aims_alone_count():
    assert failed_gates(gates(measured(), None)) == []
    silent = changed(("pooled", "balanced_accuracy"), 0.0)
    assert failed_gates(gates(silent, None)) == ["called by their name, mean of both classes: 0, under 0.5"]
    bad = gates(replace(measured(), cost=Cost(9.0, 9.0)), None)
    assert [said.split(":")[0] for said in failed_gates(bad)] == ["milliseconds a face on one core", "megabytes"]


def test_a_refusal_says_the_figure_and_the_limit():
    (said,) = failed_gates(gates(changed(("robustness", "flips", "rate"), 0.25), measured()))
    assert said == "verdicts that flip: 0.25, over 0.03"


@pytest.mark.parametrize(
    ("auc", "speedup", "expected_failures"),
    [
        (0.9771, 1.25, []),
        (0.9769, 1.25, ["AUC of this precision"]),
        (0.98, 1.24, ["times as fast as float32"]),
    ],
)
def test_a_lower_precision_may_cost_little_and_must_gain(auc, speedup, expected_failures):
    against = {"auc": auc, "float32_auc": 0.98, "speedup": speedup}
    int8 = replace(measured(), precision="int8")
    assert [said.split(":")[0] for said in failed_gates(gates(int8, measured(), against))] == expected_failures
    for_cuda = replace(measured(), precision="float16")
    speed = "times as fast as float32"
    failures_for_cuda = [said.split(":")[0] for said in failed_gates(gates(for_cuda, measured(), against))]
    assert failures_for_cuda == [gate for gate in expected_failures if gate != speed]
