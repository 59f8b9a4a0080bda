"""The shortcut score: separable, clean, or too few pictures to tell."""

from dataclasses import replace

import numpy as np
import pytest

from service.contract.faces.face import Face
from tests.trainer.audit.test_weights import facts_that_differ
from trainer.audit.shortcut_score import shortcut_score
from trainer.data.dataset import is_fake, scan
from trainer.data.groups import grouped


def test_high_score_that_may_be_chance_is_never_clean(write_faces, tmp_path):
    samples = scan([write_faces(tmp_path / "d", 22, 22)]).samples
    rng = np.random.default_rng(5)
    for shift in np.linspace(0.2, 1.5, 8):
        facts = [replace(s.facts, sharpness=float(rng.normal(shift * (s.label == "fake")))) for s in samples]
        result = shortcut_score(facts, is_fake(samples), [""] * len(samples))
        if result.score > 0.6:
            assert result.verdict == ("separable" if result.interval[0] > 0.5 else "too few to tell")
        else:
            assert result.verdict == "clean"


def test_a_rare_class_is_looked_at_whole(write_faces, tmp_path):
    samples = scan([write_faces(tmp_path / "d", 1, 1)]).samples
    plain = samples[0].facts
    facts = [replace(plain, file_size=2000)] * 60 + [plain] * 9000
    result = shortcut_score(facts, np.arange(9060) < 60, [""] * 9060)
    assert result.score > 0.99
    assert (result.real, result.fake) == (9000, 60)


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "low", "high", "cue", "area"),
    [("hardfake", 0.8, 0.95, "file size", 0.71), ("ffhq-stylegan1", 0.5, 0.6, "file size", 0.51)],
)
def test_known_answers_on_the_shared_sets(faces_data, source, low, high, cue, area):
    dataset = grouped(scan([faces_data / source]))
    samples = dataset.samples
    result = shortcut_score([s.facts for s in samples], is_fake(samples), [s.group for s in samples])
    assert low < result.score < high
    assert result.verdict == ("separable" if low > 0.6 else "clean")
    assert result.cues[cue] == pytest.approx(area, abs=0.02)
    assert (result.cues["framing"] > 0.99) == (source == "hardfake")
    assert result.cues["framing"] < 0.75 or source == "hardfake"
    if source == "hardfake":
        grey = {label: np.mean([s.facts.greyscale for s in samples if s.label == label]) for label in ("real", "fake")}
        assert grey["real"] == pytest.approx(0.19, abs=0.015)
        assert grey["fake"] == 0


def test_framing_that_differs_is_a_cue_beside_the_score():
    facts, fake = facts_that_differ(200, 0.0)
    near, far = Face(10, 10, 90, 110, 0.9), Face(30, 30, 50, 60, 0.9)
    framed = [replace(fact, face=far if is_fake else near) for fact, is_fake in zip(facts, fake, strict=True)]
    result = shortcut_score(framed, fake, [""] * 200)
    assert result.cues["framing"] > 0.99
    assert result.score == shortcut_score(facts, fake, [""] * 200).score < 0.6
    assert result.verdict == "separable"
