"""Shortcut scores of the tensors that the network sees."""

import numpy as np
import pytest

from trainer.audit.after_preprocessing import weigh
from trainer.audit.shortcut_score import shortcut_score
from trainer.audit.weights import by_class, by_cues, by_source
from trainer.data.dataset import is_fake, scan
from trainer.data.picture_facts import facts_of_tensor
from trainer.data.tensors import load_sample
from trainer.recipes.recipe import get_recipe


@pytest.mark.long
def test_an_audit_says_what_equal_framing_leaves(trainer, faces_data, capsys):
    assert trainer("audit", faces_data / "hardfake", "--recipe", "residual-cnn", "--framing", "face") == 0
    printed = capsys.readouterr().out
    assert "Framing separates the classes (AUC 1.00 alone): a real picture is 1.00 times as wide as its face" in printed
    assert float(printed.split("framing alone ")[-1]) < 0.85


@pytest.mark.parametrize("balance", ["none", "source", "subsample", "cues"])
def test_weigh_gives_the_weights_of_the_balance_and_scores_them(write_faces, tmp_path, balance):
    """Each balance has its own weights; the sentence says what they leave."""
    samples = scan([write_faces(tmp_path / "d", 30, 30)]).samples
    tensors = np.stack([load_sample(sample, get_recipe("residual-cnn").preprocessing) for sample in samples])
    weights, scores = weigh(samples, tensors, balance)
    facts, fake = [facts_of_tensor(tensor) for tensor in tensors], is_fake(samples)
    expected = {
        "none": None,
        "source": by_source(samples),
        "subsample": by_class(samples),
        "cues": by_cues(facts, fake),
    }[balance]
    assert (weights is None) == (expected is None)
    if weights is not None:
        np.testing.assert_array_equal(weights, expected)
        assert f"with weights by {balance}" in scores["sentence"]
    assert scores["balance"] == balance
    assert 0 < scores["effective_share"] <= 1
    assert (scores["effective_share"] == 1.0) == (balance != "cues")
    assert scores["unweighted"]["score"] == pytest.approx(shortcut_score(facts, fake, [""] * 60).score)
    assert scores["weighted"]["score"] <= scores["unweighted"]["score"]
