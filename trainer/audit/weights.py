"""Weights of training images: what makes the classes, and their cues, weigh alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer

from trainer.audit.shortcut_score import CUES, features
from trainer.data.dataset import Sample, is_fake
from trainer.data.picture_facts import Facts


def by_source(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Give images of one-class sources half the weight: their framing and byte history come with one answer.

    Returns:
        float32 ``[N]`` of mean 1, the same total for both classes.
    """
    weights = np.ones(len(samples))
    for rows in one_class_sources(samples):
        weights[rows] = 0.5
    return _normalised(weights, is_fake(samples))


def by_class(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Give both classes the same total where one-class sources show half their images in an epoch.

    Returns:
        float32 ``[N]``, of mean 1 over an epoch, alike within a class.
    """
    shown = np.ones(len(samples))
    for rows in one_class_sources(samples):
        shown[rows] = 0.5
    weights: NDArray[np.float32] = _normalised(shown.copy(), is_fake(samples)) / shown * shown.mean()
    return weights.astype(np.float32)


def one_class_sources(samples: Sequence[Sample]) -> list[NDArray[np.int64]]:
    """Return the rows of each source that holds one class only."""
    rows: dict[str, list[int]] = {}
    for row, sample in enumerate(samples):
        rows.setdefault(sample.source, []).append(row)
    labels = {source: {samples[row].label for row in found} for source, found in rows.items()}
    return [np.array(found) for source, found in sorted(rows.items()) if len(labels[source]) == 1]


def by_cues(facts: Sequence[Facts], fake: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weigh images so that what the cheat score sees is distributed alike in both classes.

    Overlap weights (Li, Morgan and Zaslavsky 2018, "Balancing covariates via propensity score
    weighting"): a real face weighs its probability of being fake by the cues alone, and the other
    way round, so a picture that its sharpness or colour gives away hardly counts. The probability
    is a logistic regression on splines of each cue and of each product of two.

    Args:
        facts: of the tensors that the network sees.
        fake: bool ``[N]``; both classes are there.

    Returns:
        float32 ``[N]`` of mean 1, the same total for both classes.
    """
    rows = _varied(facts)
    p_fake = _model().fit(rows, fake).predict_proba(rows)[:, 1] if rows.size else np.full(len(fake), 0.5)
    return _normalised(np.where(fake, 1.0 - p_fake, p_fake), fake)


def by_cues_held_out(facts: Sequence[Facts], fake: NDArray[np.bool_], seed: int = 0) -> NDArray[np.float32]:
    """Return the same weights, each half of the images weighed by a model of the other half.

    For judging what weights do: in training they are fitted on the very images that they weigh.
    """
    rows = _varied(facts)
    p_fake = np.full(len(fake), 0.5)
    if rows.size and min(fake.sum(), (~fake).sum()) >= 2:
        for one, other in StratifiedKFold(2, shuffle=True, random_state=seed).split(rows, fake):
            p_fake[other] = _model().fit(rows[one], fake[one]).predict_proba(rows[other])[:, 1]
    return _normalised(np.where(fake, 1.0 - p_fake, p_fake), fake)


def _varied(facts: Sequence[Facts]) -> NDArray[np.float64]:
    """Return the cues that vary, standardised.

    Framing is not among them: it is made equal by the framing ``face``, where weights could only
    choose the few pictures of either class that happen to be framed like the other's.
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
    """Return how many images as a share count for as much as these weighted ones (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def _normalised(weights: NDArray[np.float64], fake: NDArray[np.bool_]) -> NDArray[np.float32]:
    for chosen in (fake, ~fake):
        weights[chosen] *= len(weights) / 2 / max(weights[chosen].sum(), 1e-12)
    return weights.astype(np.float32)
