"""The specification of a model: it travels as metadata, and what contradicts itself is named."""

import pytest

from service.contract.spec import ModelSpec, SpecError


def test_metadata_round_trip_keeps_every_field(make_spec):
    spec = make_spec(recipe={"name": "tiny", "epochs": 3}, metrics={"auc": 0.9}, temperature=0.1 + 0.2)
    assert ModelSpec.from_metadata(spec.to_metadata()) == spec


def test_metadata_values_are_text_as_onnx_demands(make_spec):
    assert all(isinstance(value, str) for value in make_spec().to_metadata().values())


def test_unknown_keys_are_ignored_so_that_newer_files_still_load(make_spec):
    assert ModelSpec.from_metadata({**make_spec().to_metadata(), "later": "1"}) == make_spec()


@pytest.mark.parametrize("key", ["spec_version", "name", "class_names", "temperature", "commit", "resize_filter"])
def test_a_missing_key_is_named(make_spec, key):
    metadata = make_spec().to_metadata()
    del metadata[key]
    with pytest.raises(SpecError, match=f"'{key}': is missing"):
        ModelSpec.from_metadata(metadata)


def test_a_value_that_is_not_json_is_named(make_spec):
    with pytest.raises(SpecError, match="'temperature': 'hot' is not JSON"):
        ModelSpec.from_metadata({**make_spec().to_metadata(), "temperature": "hot"})


def test_another_spec_version_is_refused(make_spec):
    with pytest.raises(SpecError, match="'spec_version': 2 is not supported; the supported version is 1"):
        ModelSpec.from_metadata({**make_spec().to_metadata(), "spec_version": "2"})


def test_spec_without_framing_means_whole_pictures(make_spec):
    metadata = make_spec().to_metadata()
    for key in ("framing", "face_margin", "face_finder", "calibration", "precision"):
        del metadata[key]
    spec = ModelSpec.from_metadata(metadata)
    assert (spec.framing, spec.face_margin, spec.face_finder) == ("whole", None, "")
    assert spec.precision == "float32"


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"framing": "face"}, "face_margin"),
        ({"face_margin": 1.3}, "face_finder"),
        ({"face_margin": 1.3, "face_finder": "yunet-2023mar", "input_width": 40}, "face_margin"),
    ],
)
def test_framing_that_contradicts_itself_is_named(make_spec, fields, key):
    with pytest.raises(SpecError) as refused:
        make_spec(**fields)
    assert refused.value.key == key


def test_framing_travels_with_the_preprocessing(make_spec):
    spec = make_spec(framing="face", face_margin=1.2, face_finder="yunet-2023mar")
    again = ModelSpec.from_metadata(spec.to_metadata())
    assert again == spec
    assert (again.preprocessing.framing, again.preprocessing.face_margin) == ("face", 1.2)


def test_fake_index_follows_the_output_order(make_spec):
    assert make_spec(class_names=("fake", "real")).fake_index == 0
    assert make_spec(class_names=("photo", "generated"), fake_class="generated").fake_index == 1
