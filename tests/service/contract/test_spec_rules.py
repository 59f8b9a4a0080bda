"""Rules for the fields of a specification: what breaks one is named."""

import json

import pytest

from service.contract.spec import ModelSpec, SpecError


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "../../etc/passwd"),
        ("name", ""),
        ("version", 3),
        ("class_names", ["real"]),
        ("class_names", ["real", "real"]),
        ("class_names", "rf"),
        ("fake_class", "forged"),
        ("output_kind", "tanh"),
        ("input_height", 0),
        ("input_height", 4097),
        ("input_width", 128.5),
        ("input_width", True),
        ("resize_filter", "cubic"),
        ("resize_fit", "pad"),
        ("exif_policy", None),
        ("temperature", 0),
        ("temperature", -1.0),
        ("temperature", "1"),
        ("temperature", 10**400),
        ("temperature", 1e-320),
        ("threshold_real", -0.1),
        ("threshold_fake", 1.1),
        ("threshold_fake", 0.1),
        ("threshold_rule", " "),
        ("dataset_fingerprint", "abc"),
        ("dataset_counts", {"a": -1}),
        ("dataset_counts", [1]),
        ("recipe", "tiny"),
        ("metrics", []),
        ("library_versions", {"numpy": 2}),
        ("commit", ""),
        ("framing", "portrait"),
        ("precision", "bfloat16"),
        ("face_margin", 0),
        ("face_margin", "1"),
        ("face_finder", "two words"),
        ("face_finder", "yunet-2023mar"),  # of which margin?
    ],
)
def test_a_field_that_breaks_its_rule_is_named(make_spec, key, value):
    metadata = {**make_spec().to_metadata(), key: json.dumps(value)}
    with pytest.raises(SpecError) as refused:
        ModelSpec.from_metadata(metadata)
    assert refused.value.key == key


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_should_not_hold_are_refused(make_spec, value):
    with pytest.raises(SpecError, match="temperature"):
        ModelSpec.from_metadata({**make_spec().to_metadata(), "temperature": value})


def test_nested_beyond_reason_is_refused(make_spec):
    with pytest.raises(SpecError, match="metrics"):
        ModelSpec.from_metadata({**make_spec().to_metadata(), "metrics": "[" * 100_000})
