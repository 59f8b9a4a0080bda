"""Figures against hand-made truths."""

import numpy as np
import pytest

from trainer.evaluation.evaluate import figures


def test_figures_of_a_hand_made_case():
    truth = np.array([False, False, False, True, True, True])
    p_fake = np.array([0.1, 0.4, 0.95, 0.9, 0.6, 0.2])
    found = figures(truth, p_fake, threshold_real=0.3, threshold_fake=0.8)
    assert found["confusion_matrix"] == [[2, 1], [1, 2]]
    assert found["accuracy"] == found["precision"] == found["recall"] == found["f1"] == pytest.approx(2 / 3)
    assert found["roc_auc"] == pytest.approx(5 / 9)
    assert found["real_called_fake"] == found["fake_called_real"] == pytest.approx(1 / 3)
    assert found["uncertain"] == pytest.approx(2 / 6)


@pytest.mark.parametrize("fake", [True, False])
def test_a_set_of_one_class_says_none_where_it_cannot_tell(fake):
    found = figures(np.array([fake] * 4), np.array([0.1, 0.2, 0.9, 0.8]), 0.3, 0.7)
    assert found["roc_auc"] is None
    assert found["precision"] is None
    assert (found["real_called_fake"] is None) == fake
    assert (found["fake_called_real"] is None) != fake
    assert found["accuracy"] == 0.5
