"""Shortcut scores of the tensors that the network sees."""

from dataclasses import replace

import pytest

from service.contract.faces.face import Face
from tests.trainer.audit.test_weights import facts_that_differ
from trainer.audit.shortcut_score import shortcut_score


def test_framing_that_differs_is_a_cue_beside_the_score():
    facts, fake = facts_that_differ(200, 0.0)
    near, far = Face(10, 10, 90, 110, 0.9), Face(30, 30, 50, 60, 0.9)
    framed = [replace(fact, face=far if is_fake else near) for fact, is_fake in zip(facts, fake, strict=True)]
    found = shortcut_score(framed, fake, [""] * 200)
    assert found.cues["framing"] > 0.99
    assert found.score == shortcut_score(facts, fake, [""] * 200).score < 0.6
    assert found.verdict == "separable"


@pytest.mark.long
def test_an_audit_says_what_equal_framing_leaves(trainer, faces_data, capsys):
    assert trainer("audit", faces_data / "hardfake", "--recipe", "residual-cnn", "--framing", "face") == 0
    printed = capsys.readouterr().out
    assert "Framing separates the classes (AUC 1.00 alone): a real picture is 1.00 times as wide as its face" in printed
    assert float(printed.split("framing alone ")[-1]) < 0.85
