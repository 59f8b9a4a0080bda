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


@pytest.fixture(scope="module")
def shown(write_faces, tmp_path_factory):
    """The samples of a data root, their tensors, the facts of these, and their shortcut score."""
    samples = scan([write_faces(tmp_path_factory.mktemp("data") / "d", 30, 30)]).samples
    tensors = np.stack([load_sample(sample, get_recipe("residual-cnn").preprocessing) for sample in samples])
    facts = [facts_of_tensor(tensor) for tensor in tensors]
    return samples, tensors, facts, shortcut_score(facts, is_fake(samples), [""] * len(samples)).score


@pytest.mark.parametrize(
    ("balance", "weights_by"),
    [
        ("none", None),
        ("source", lambda samples, _: by_source(samples)),
        ("subsample", lambda samples, _: by_class(samples)),
        ("cues", lambda samples, facts: by_cues(facts, is_fake(samples))),
    ],
)
def test_weigh_gives_the_weights_of_the_balance_and_scores_them(shown, balance, weights_by):
    """Each balance has its own weights; the sentence says what they leave."""
    samples, tensors, facts, score = shown
    weights, scores = weigh(samples, tensors, balance)
    if weights_by is None:
        assert weights is None
    else:
        np.testing.assert_array_equal(weights, weights_by(samples, facts))
        assert f"with weights by {balance}" in scores["sentence"]
    assert scores["balance"] == balance
    assert 0 < scores["effective_share"] <= 1
    assert (scores["effective_share"] == 1.0) == (balance != "cues")
    assert scores["unweighted"]["score"] == pytest.approx(score)
    assert scores["weighted"]["score"] <= scores["unweighted"]["score"]
