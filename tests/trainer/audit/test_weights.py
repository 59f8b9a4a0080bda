"""Weights: classes weigh alike, and what gives a class away hardly counts."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from service.contract.faces.face import Face
from trainer.audit.shortcut_score import shortcut_score
from trainer.audit.weights import by_class, by_cues, by_cues_held_out, by_source, effective_share, one_class_sources
from trainer.data.dataset import scan
from trainer.data.picture_facts import Facts


def test_by_source_weighs_classes_equally_in_each_source(write_faces, tmp_path):
    paired, alone = write_faces(tmp_path / "paired", 4, 6), write_faces(tmp_path / "alone", 8, 1, seed=1)
    shutil.rmtree(alone / "fake")
    samples = scan([paired, alone]).samples
    weights = by_source(samples)
    by = {
        key: weights[[(s.source, s.label) == key for s in samples]]
        for key in (("paired", "real"), ("paired", "fake"), ("alone", "real"))
    }
    assert by["paired", "fake"].sum() == pytest.approx(by["paired", "real"].sum() + by["alone", "real"].sum())
    assert by["alone", "real"][0] == pytest.approx(by["paired", "real"][0] / 2)
    assert weights.mean() == pytest.approx(1.0)


def test_by_class_equals_by_source_on_half_one_class_sources(write_faces, tmp_path):
    paired, alone = write_faces(tmp_path / "paired", 4, 6), write_faces(tmp_path / "alone", 8, 1, seed=1)
    shutil.rmtree(alone / "fake")
    samples = scan([paired, alone]).samples
    (rows,) = one_class_sources(samples)
    assert {samples[row].source for row in rows} == {"alone"}
    shown = np.ones(len(samples))
    shown[rows] = 0.5
    weights = by_class(samples)
    np.testing.assert_allclose(weights * shown * len(samples) / shown.sum(), by_source(samples), rtol=1e-6)
    assert (weights * shown).sum() == pytest.approx(shown.sum())


def facts_that_differ(count: int, shift: float) -> tuple[list[Facts], np.ndarray]:
    """Make facts whose sharpness is ``shift`` standard deviations higher for fakes."""
    rng = np.random.default_rng(0)
    plain = Facts(1000, "", 128, 128, None, "", 120.0, 110.0, 100.0, 5.0, False, None, b"")
    fake = np.arange(count) % 2 == 1
    return [replace(plain, sharpness=float(rng.normal(5 + shift * is_fake))) for is_fake in fake], fake


def test_by_cues_removes_what_the_shortcut_score_sees():
    facts, fake = facts_that_differ(2000, 1.0)
    groups = [""] * len(fake)
    weights = by_cues(facts, fake)
    assert shortcut_score(facts, fake, groups).score > 0.7
    assert shortcut_score(facts, fake, groups, weights).score < 0.55
    assert weights[fake].sum() == pytest.approx(weights[~fake].sum(), rel=1e-4)
    assert 0.4 < effective_share(weights) < 0.9


def test_held_out_weights_do_not_flatter_themselves():
    facts, fake = facts_that_differ(300, 0.0)
    held_out = shortcut_score(facts, fake, [""] * 300, by_cues_held_out(facts, fake)).score
    assert 0.42 < held_out < 0.6


def test_by_cues_leaves_alike_classes_alone():
    weights = by_cues(*facts_that_differ(2000, 0.0))
    assert effective_share(weights) > 0.95


def test_by_cues_of_pictures_that_are_all_alike_is_one_each():
    facts, fake = facts_that_differ(40, 0.0)
    assert (by_cues([facts[0]] * 40, fake) == 1.0).all()


@pytest.mark.parametrize("count", [8, 9, 40])
def test_by_cues_copes_with_few_pictures_and_rare_cues(count):
    facts, fake = facts_that_differ(count, 5.0)
    facts[0] = replace(facts[0], greyscale=True)
    weights = by_cues(facts, fake)
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()
    assert weights.mean() == pytest.approx(1.0, rel=1e-4)


def test_by_cues_leaves_framing_alone():
    facts, fake = facts_that_differ(200, 0.5)
    near, far = Face(10, 10, 90, 110, 0.9), Face(30, 30, 50, 60, 0.9)
    framed = [replace(fact, face=far if is_fake else near) for fact, is_fake in zip(facts, fake, strict=True)]
    assert np.array_equal(by_cues(framed, fake), by_cues(facts, fake))
