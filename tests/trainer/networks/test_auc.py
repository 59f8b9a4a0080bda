"""AUC while a network fits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from trainer.networks.auc import FakeAUC


@given(st.data())
def test_auc_is_that_of_the_pictures_that_are_either(data):
    labels = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=60))
    scores = data.draw(st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels)))
    truth, p = np.array(labels), np.array(scores).round(2)
    sure = truth != 0.5
    if len(set(truth[sure])) < 2:
        return
    metric = FakeAUC(1, num_thresholds=401)
    metric.update_state(np.stack([1 - truth, truth], 1), np.stack([1 - p, p], 1))
    assert float(metric.result()) == pytest.approx(roc_auc_score(truth[sure], p[sure]), abs=0.02)
