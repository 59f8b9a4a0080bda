"""Shortcut score: how well a classifier separates the classes without seeing the faces.

Its features are file size, dimensions, format, JPEG quality, mean colour, sharpness and whether the
picture is greyscale. Framing, the position and size of the face in the picture, is scored separately.
A high score means that a network trained on these pictures may learn the collection instead of the
faces (shortcut learning, Geirhos et al. 2020, arXiv:2004.07780; in this field Grommelt et al. 2024,
arXiv:2403.17608).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from trainer.common.stats import auc_interval
from trainer.data.picture_facts import Facts

SEPARABLE: Final = 0.6
# Framing has a higher threshold and is not part of the score: turning the head moves the box of the face, so pictures
# framed alike still differ a little (0.66 between FFHQ photos and the StyleGAN faces that were learned from them).
FRAMING_SEPARABLE: Final = 0.75
MIN_PICTURES_PER_CLASS: Final = 20
MAX_PICTURES: Final = 4_000
_FOLDS: Final = 5
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_SUBSAMPLINGS: Final = ("4:4:4", "4:2:2", "4:2:0")
# The columns of `features` that belong to each cue.
CUES: Final[dict[str, tuple[int, ...]]] = {
    "file size": (0,),
    "dimensions": (1, 2),
    "format": (3,),
    "JPEG quality": (4, 5),
    "mean colour": (6, 7, 8),
    "sharpness": (9,),
    "greyscale": (10,),
    "framing": (11, 12, 13),
}
ShortcutVerdict = Literal["separable", "clean", "too few to tell"]


@dataclass(frozen=True, slots=True)
class ShortcutScore:
    """Shortcut score of a set of pictures.

    Attributes:
        real, fake: number of pictures of each class.
        score: cross-validated AUC of all cues except framing together, 0.5 is chance; None where a class
            has fewer than 20 pictures, or there are too few groups.
        interval: 95 % interval of the score (Hanley and McNeil 1982).
        cues: cross-validated AUC of each cue on its own, highest first.
        verdict: ``separable`` where the score is above 0.6, or framing alone is above 0.75 and its
            interval above 0.6, else ``clean``; ``too few to tell`` where a class has fewer than 20
            pictures, there are too few groups, or chance may explain a score above 0.6.
    """

    real: int
    fake: int
    score: float | None
    interval: tuple[float, float] | None
    cues: dict[str, float]
    verdict: ShortcutVerdict


def shortcut_score(
    facts: Sequence[Facts],
    fake: NDArray[np.bool_],
    groups: Sequence[str],
    weights: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> ShortcutScore:
    """Score a set of pictures.

    Args:
        facts: facts of each picture.
        fake: bool ``[N]``.
        groups: pictures of a group stay in the same fold; a picture with an empty name is its own group.
        weights: ``[N]``, weight of each picture in training; default: equal weights.
        seed: seed of the folds, and of the random sample from more than 4,000 pictures.
    """
    chosen = _sampled_rows(fake, seed)
    rows, truth = features([facts[index] for index in chosen]), fake[chosen]
    names = np.array([groups[index] or f"alone {index}" for index in chosen])
    weight = np.ones(len(chosen)) if weights is None else np.asarray(weights, dtype=np.float64)[chosen]
    real, fakes = int((~fake).sum()), int(fake.sum())
    if min((~truth).sum(), truth.sum()) < MIN_PICTURES_PER_CLASS or min(weight[truth].sum(), weight[~truth].sum()) <= 0:
        return ShortcutScore(real, fakes, None, None, {}, "too few to tell")
    by_class = [len(set(names[of_class])) for of_class in (truth, ~truth)]
    enough = min(by_class) >= 2 and len(set(names)) >= _FOLDS  # otherwise no groups can be held out
    without_framing = np.delete(rows, CUES["framing"], axis=1)
    score = _auc(without_framing, truth, names, weight, seed) if enough else None
    if score is None:
        return ShortcutScore(real, fakes, None, None, {}, "too few to tell")
    interval = auc_interval(score, effective_size(weight[~truth]), effective_size(weight[truth]))
    alone = {cue: _auc(rows[:, columns], truth, names, weight, seed) for cue, columns in CUES.items()}
    ranked = dict(sorted(((cue, area or 0.5) for cue, area in alone.items()), key=lambda cue: -cue[1]))
    verdict: ShortcutVerdict = "separable" if score > SEPARABLE else "clean"
    if verdict == "separable" and interval[0] <= 0.5:
        verdict = "too few to tell"
    framing = auc_interval(ranked["framing"], effective_size(weight[~truth]), effective_size(weight[truth]))
    if ranked["framing"] > FRAMING_SEPARABLE and framing[0] > SEPARABLE:
        verdict = "separable"
    return ShortcutScore(real, fakes, score, interval, ranked, verdict)


def tells(cue: str, auc: float) -> bool:
    """Return whether a cue on its own separates the classes."""
    return auc > (FRAMING_SEPARABLE if cue == "framing" else SEPARABLE)


def _sampled_rows(fake: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Return the rows to score: all, or 4,000 at random, of which the rarer class is at most half."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(of_class)) for of_class in (fake, ~fake)]
    rarer, commoner = sorted(rows, key=len)
    rarer = rarer[: MAX_PICTURES // 2]
    return np.sort(np.concatenate([rarer, commoner[: MAX_PICTURES - len(rarer)]]))


def features(facts: Sequence[Facts]) -> NDArray[np.float64]:
    """Return float64 ``[N, 14]``, with the columns of :data:`CUES`; missing values are NaN."""
    rows = [
        (
            fact.file_size,
            fact.width,
            fact.height,
            _FORMATS.index(fact.format) if fact.format in _FORMATS else np.nan,
            fact.quality or np.nan,
            _SUBSAMPLINGS.index(fact.subsampling) if fact.subsampling in _SUBSAMPLINGS else np.nan,
            fact.red,
            fact.green,
            fact.blue,
            fact.sharpness,
            fact.greyscale,
            fact.margin or np.nan,
            *(fact.offset or (np.nan, np.nan)),
        )
        for fact in facts
    ]
    return np.array(rows, dtype=np.float64)


def _auc(
    rows: NDArray[np.float64],
    truth: NDArray[np.bool_],
    groups: NDArray[np.str_],
    weight: NDArray[np.float64],
    seed: int,
) -> float | None:
    """Return the mean AUC over the folds, each scored by a model of the others; None where no fold has both classes."""
    rows = rows[:, [len(np.unique(column)) > 1 for column in rows.T]]  # drop constant columns; NaN counts as a value
    if not rows.size:
        return 0.5
    score, fold = _out_of_fold(rows, truth, groups, weight, seed)
    areas = [
        roc_auc_score(truth[in_fold], score[in_fold], sample_weight=weight[in_fold])
        for in_fold in (fold == number for number in range(_FOLDS))
        if len(set(truth[in_fold])) == 2 and min(weight[in_fold & truth].sum(), weight[in_fold & ~truth].sum()) > 0
    ]
    return float(np.mean(areas)) if areas else None


def _out_of_fold(
    rows: NDArray[np.float64],
    truth: NDArray[np.bool_],
    groups: NDArray[np.str_],
    weight: NDArray[np.float64],
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    score, fold = np.full(len(truth), truth.mean()), np.full(len(truth), -1)
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, truth, groups)
    for number, (train, test) in enumerate(folds):
        if len(set(truth[train])) < 2:
            continue
        model = HistGradientBoostingClassifier(
            max_iter=50,
            max_leaf_nodes=6,
            min_samples_leaf=int(np.clip(len(train) // 20, 5, 40)),
            early_stopping=False,
            random_state=seed,
        )
        with threadpool_limits(1):  # such small fits are slower in two threads, and far slower beside a training
            model.fit(rows[train], truth[train], sample_weight=weight[train])
            score[test] = model.predict_proba(rows[test])[:, 1]
        fold[test] = number
    return score, fold


def effective_size(weight: NDArray[np.floating]) -> float:
    """Return the effective sample size of weighted pictures (Kish 1965)."""
    return float(weight.sum() ** 2 / (weight**2).sum())
