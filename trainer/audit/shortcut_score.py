"""Cheat score: how well a classifier that sees no face tells the classes apart.

It sees file size, dimensions, format, JPEG quality, mean colour, sharpness and whether the picture is
greyscale, and, as a cue beside the score, its framing: where in it the face is, and how large. A high
score says that a network trained on these pictures may learn the collection instead of the faces
("shortcut learning", Geirhos et al. 2020, arXiv:2004.07780; for this field Grommelt et al. 2024,
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
# Framing has a higher bar and stands beside the score: a turned head moves the box of its face, so faces of the same
# framing differ in it a little (.66 between FFHQ photos and the StyleGAN faces that were learned from them).
FRAMING_SEPARABLE: Final = 0.75
FEWEST: Final = 20
MOST: Final = 4_000
_FOLDS: Final = 5
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_SUBSAMPLINGS: Final = ("4:4:4", "4:2:2", "4:2:0")
# Cue by cue, the columns of `features`.
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
CheatVerdict = Literal["separable", "clean", "too few to tell"]


@dataclass(frozen=True, slots=True)
class Cheat:
    """The score of one set of pictures.

    Attributes:
        real, fake: how many were looked at.
        score: cross-validated AUC of all cues but framing together, .5 for nothing; None where a class
            has fewer than 20 pictures.
        interval: 95 % interval of the score (Hanley and McNeil 1982).
        cues: cross-validated AUC of each cue by itself, best first.
        verdict: ``separable`` where the score is above .6, or framing alone above .75 and surely
            above .6, else ``clean``; ``too few to tell`` where a class has fewer than 20 pictures,
            groups are too few, or chance alone may explain a score above .6.
    """

    real: int
    fake: int
    score: float | None
    interval: tuple[float, float] | None
    cues: dict[str, float]
    verdict: CheatVerdict


def cheat(
    facts: Sequence[Facts],
    fake: NDArray[np.bool_],
    groups: Sequence[str],
    weights: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> Cheat:
    """Score one set of pictures.

    Args:
        facts: of each picture.
        fake: bool ``[N]``.
        groups: pictures of one group stay in one fold; an empty name is a group of its own.
        weights: ``[N]``, importance of each picture in training; default: all alike.
        seed: of the folds, and of the sample taken from more than 4,000 pictures.
    """
    chosen = _some(fake, seed)
    rows, truth = features([facts[index] for index in chosen]), fake[chosen]
    names = np.array([groups[index] or f"alone {index}" for index in chosen])
    weight = np.ones(len(chosen)) if weights is None else np.asarray(weights, dtype=np.float64)[chosen]
    real, fakes = int((~fake).sum()), int(fake.sum())
    if min((~truth).sum(), truth.sum()) < FEWEST or min(weight[truth].sum(), weight[~truth].sum()) <= 0:
        return Cheat(real, fakes, None, None, {}, "too few to tell")
    by_class = [len(set(names[of_class])) for of_class in (truth, ~truth)]
    enough = min(by_class) >= 2 and len(set(names)) >= _FOLDS  # so that some groups can be held out
    plain = np.delete(rows, CUES["framing"], axis=1)
    score = _auc(plain, truth, names, weight, seed) if enough else None
    if score is None:
        return Cheat(real, fakes, None, None, {}, "too few to tell")
    interval = auc_interval(score, _effective(weight[~truth]), _effective(weight[truth]))
    alone = {cue: _auc(rows[:, columns], truth, names, weight, seed) for cue, columns in CUES.items()}
    ranked = dict(sorted(((cue, area or 0.5) for cue, area in alone.items()), key=lambda cue: -cue[1]))
    verdict: CheatVerdict = "separable" if score > SEPARABLE else "clean"
    if verdict == "separable" and interval[0] <= 0.5:
        verdict = "too few to tell"
    framing = auc_interval(ranked["framing"], _effective(weight[~truth]), _effective(weight[truth]))
    if ranked["framing"] > FRAMING_SEPARABLE and framing[0] > SEPARABLE:
        verdict = "separable"
    return Cheat(real, fakes, score, interval, ranked, verdict)


def tells(cue: str, auc: float) -> bool:
    """Return whether a cue by itself tells the classes apart."""
    return auc > (FRAMING_SEPARABLE if cue == "framing" else SEPARABLE)


def _some(fake: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Return the rows to look at: all, or 4,000 at random, of which a rarer class is at most half."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(of_class)) for of_class in (fake, ~fake)]
    short, long = sorted(rows, key=len)
    short = short[: MOST // 2]
    return np.sort(np.concatenate([short, long[: MOST - len(short)]]))


def features(facts: Sequence[Facts]) -> NDArray[np.float64]:
    """Return float64 ``[N, 14]``, the columns of :data:`CUES`; what a picture does not have is NaN."""
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
    """Mean AUC over the folds, each scored by a classifier that did not see it; None where no fold has both classes."""
    rows = rows[:, [len(np.unique(column)) > 1 for column in rows.T]]  # a constant tells nothing; NaN is one value
    if not rows.size:
        return 0.5
    score, fold = _out_of_fold(rows, truth, groups, weight, seed)
    areas = [
        roc_auc_score(truth[here], score[here], sample_weight=weight[here])
        for here in (fold == number for number in range(_FOLDS))
        if len(set(truth[here])) == 2 and min(weight[here & truth].sum(), weight[here & ~truth].sum()) > 0
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
        with threadpool_limits(1):  # so little work is slower in two threads, and far slower beside a fit
            model.fit(rows[train], truth[train], sample_weight=weight[train])
            score[test] = model.predict_proba(rows[test])[:, 1]
        fold[test] = number
    return score, fold


def _effective(weight: NDArray[np.float64]) -> float:
    """Kish's effective sample size."""
    return float(weight.sum() ** 2 / (weight**2).sum())
