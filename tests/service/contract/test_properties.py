"""Properties of the contract, for whatever spec and logits there may be."""

import json
import string
from typing import get_args

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from service.contract.faces.face import FINDER
from service.contract.image.resize import covered, resize
from service.contract.spec import ExifPolicy, ModelSpec, OutputKind, Precision, ResizeFilter, ResizeFit
from service.contract.spec_rules import MAX_INPUT_SIDE
from service.contract.verdict.calibration import verdicts

NAMES = st.text(string.ascii_letters + string.digits, min_size=1, max_size=20)
# Half a surrogate pair is no text.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SAID = TEXTS.filter(str.strip)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(TEXTS, JSON, max_size=4)
LOGITS = st.lists(st.tuples(st.floats(-80, 80), st.floats(-80, 80)), min_size=1, max_size=8)


@st.composite
def specs(draw: st.DrawFn) -> ModelSpec:
    names = draw(st.lists(NAMES, min_size=2, max_size=2, unique=True))
    side, cut_out = draw(st.integers(1, MAX_INPUT_SIDE)), draw(st.booleans())
    low, high = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    return ModelSpec(
        name=draw(NAMES),
        version=draw(NAMES),
        class_names=(names[0], names[1]),
        fake_class=draw(st.sampled_from(names)),
        output_kind=draw(st.sampled_from(get_args(OutputKind))),
        input_height=side,
        input_width=side if cut_out else draw(st.integers(1, MAX_INPUT_SIDE)),
        resize_filter=draw(st.sampled_from(get_args(ResizeFilter))),
        resize_fit=draw(st.sampled_from(get_args(ResizeFit))),
        exif_policy=draw(st.sampled_from(get_args(ExifPolicy))),
        temperature=draw(st.floats(0.001, 1000)),
        threshold_real=low,
        threshold_fake=high,
        threshold_rule=draw(SAID),
        dataset_fingerprint=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        dataset_counts=draw(st.dictionaries(TEXTS, st.integers(0, 10**9), max_size=3)),
        recipe=draw(MAPS),
        metrics=draw(MAPS),
        library_versions=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        commit=draw(SAID),
        calibration=draw(MAPS),
        framing="face" if cut_out else "whole",
        face_margin=draw(st.floats(0.5, 8)) if cut_out else None,
        face_finder=FINDER if cut_out else "",
        precision=draw(st.sampled_from(get_args(Precision))),
    )


@given(specs())
def test_any_spec_survives_the_way_into_a_file_and_back(spec):
    metadata = spec.to_metadata()
    assert ModelSpec.from_metadata(metadata) == spec
    assert ModelSpec.from_metadata({key: json.dumps(json.loads(value)) for key, value in metadata.items()}) == spec


@given(specs(), LOGITS)
def test_probabilities_sum_to_1_and_verdict_fits_thresholds(spec, logits):
    for result in verdicts(np.array(logits, np.float32), spec):
        assert result.p_real + result.p_fake == 1
        assert 0 <= result.p_fake <= 1
        assert (result.verdict == "fake") == (result.p_fake >= spec.threshold_fake)
        assert result.verdict != "real" or result.p_fake <= spec.threshold_real
        assert result.confidence in (result.p_real, result.p_fake)


@given(specs(), LOGITS)
def test_more_evidence_for_fake_never_makes_a_verdict_more_real(spec, logits):
    order, scale = (
        sorted(logits, key=lambda pair: pair[spec.fake_index] - pair[1 - spec.fake_index]),
        ["real", "uncertain", "fake"],
    )
    if spec.output_kind == "sigmoid":
        order = sorted(logits, key=lambda pair: verdicts(np.array([pair]), spec)[0].p_fake)
    places = [scale.index(result.verdict) for result in verdicts(np.array(order), spec)]
    assert places == sorted(places)


@settings(max_examples=60)
@given(
    width=st.integers(1, 200),
    height=st.integers(1, 200),
    across=st.integers(1, 96),
    down=st.integers(1, 96),
    resize_filter=st.sampled_from(get_args(ResizeFilter)),
    fit=st.sampled_from(get_args(ResizeFit)),
    seed=st.integers(0, 99),
)
def test_resize_is_deterministic_and_within_the_value_range(width, height, across, down, resize_filter, fit, seed):
    pixels = np.random.default_rng(seed).integers(60, 200, (height, width, 3), dtype=np.uint8)
    first, second = (np.asarray(resize(Image.fromarray(pixels), down, across, resize_filter, fit)) for _ in range(2))
    assert first.shape == (down, across, 3)
    assert np.array_equal(first, second)
    if resize_filter in ("nearest", "box", "bilinear", "hamming"):  # the others overshoot at edges, as is their kind
        assert first.min() >= pixels.min()
        assert first.max() <= pixels.max()
    left, top, right, bottom = covered(width, height, across, down, fit)
    assert -1e-9 <= left < right <= width + 1e-9
    assert -1e-9 <= top < bottom <= height + 1e-9
