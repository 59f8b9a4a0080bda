"""Weights of training images that balance the classes and their cues."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from trainer.audit.shortcut_score import CUES, effective_size, features
from trainer.data.dataset import Sample, is_fake
from trainer.data.picture_facts import Facts


def by_source(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Give images of one-class sources half the weight: their framing and encoding occur in one class only.

    Returns:
        float32 ``[N]`` with mean 1 and the same total for both classes.
    """
    weights = np.ones(len(samples))
    for rows in one_class_sources(samples):
        weights[rows] = 0.5
    return _normalised(weights, is_fake(samples))


def by_class(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Give both classes the same total weight where each epoch shows half the images of one-class sources.

    Returns:
        float32 ``[N]`` with mean 1 over an epoch, constant within a class.
    """
    shown = np.ones(len(samples))
    for rows in one_class_sources(samples):
        shown[rows] = 0.5
    weights: NDArray[np.float32] = _normalised(shown.copy(), is_fake(samples)) / shown * shown.mean()
    return weights.astype(np.float32)


def one_class_sources(samples: Sequence[Sample]) -> list[NDArray[np.int64]]:
    """Return the row numbers of each source that holds only one class."""
    rows: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        rows.setdefault(sample.source, []).append(row)
    labels = {source: {samples[row].label for row in members} for source, members in rows.items()}
    return [np.array(members) for source, members in sorted(rows.items()) if len(labels[source]) == 1]


def by_cues(facts: Sequence[Facts], fake: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weigh images so that the cues of the shortcut score are distributed equally in both classes.

    Overlap weights (Li, Morgan and Zaslavsky 2018, "Balancing covariates via propensity score
    weighting"): the weight of a real face is its probability of being fake given the cues, and vice
    versa, so a picture whose cues reveal its class has little weight. The probability comes from a
    logistic regression on splines of each cue and of each product of two cues.

    Args:
        facts: facts of the tensors that the network sees.
        fake: bool ``[N]``, holding both classes.

    Returns:
        float32 ``[N]`` with mean 1 and the same total for both classes.
    """
    rows = _varying_cues(facts)
    p_fake = _model().fit(rows, fake).predict_proba(rows)[:, 1] if rows.size else np.full(len(fake), 0.5)
    return _normalised(np.where(fake, 1.0 - p_fake, p_fake), fake)


def by_cues_held_out(facts: Sequence[Facts], fake: NDArray[np.bool_], seed: int = 0) -> NDArray[np.float32]:
    """Return weights as :func:`by_cues` does, each half of the images weighed by a model of the other half.

    They are for measuring the effect of weights. In training, weights are fitted on the images that they weigh.
    """
    rows = _varying_cues(facts)
    p_fake = np.full(len(fake), 0.5)
    if rows.size and min(fake.sum(), (~fake).sum()) >= 2:
        for train, test in StratifiedKFold(2, shuffle=True, random_state=seed).split(rows, fake):
            p_fake[test] = _model().fit(rows[train], fake[train]).predict_proba(rows[test])[:, 1]
    return _normalised(np.where(fake, 1.0 - p_fake, p_fake), fake)


def _varying_cues(facts: Sequence[Facts]) -> NDArray[np.float64]:
    """Return the cues that vary, standardised, without framing.

    The framing ``face`` makes the framing of both classes equal. Weights could only select the few
    pictures of a class that happen to be framed like those of the other class.
    """
    rows = np.delete(features(facts), CUES["framing"], axis=1)
    rows = rows[:, [len(np.unique(column)) > 1 and not np.isnan(column).any() for column in rows.T]]
    standardised: NDArray[np.float64] = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-12)
    return standardised


def _model() -> Pipeline:
    return make_pipeline(
        PolynomialFeatures(2, interaction_only=True, include_bias=False),
        SplineTransformer(5, degree=3, knots="quantile", extrapolation="constant"),
        LogisticRegression(C=10.0, max_iter=5000),
    )


def effective_share(weights: NDArray[np.floating]) -> float:
    """Return the effective sample size of weighted images as a fraction of their number (Kish 1965)."""
    return effective_size(weights) / len(weights)


def _normalised(weights: NDArray[np.float64], fake: NDArray[np.bool_]) -> NDArray[np.float32]:
    for of_class in (fake, ~fake):
        weights[of_class] *= len(weights) / 2 / max(weights[of_class].sum(), 1e-12)
    return weights.astype(np.float32)
