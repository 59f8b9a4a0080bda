"""Splits: seeded, stratified, and nothing stands on two sides."""

import csv
import os
from dataclasses import replace
from pathlib import Path

import pytest

from trainer.common.errors import TrainerError
from trainer.data.dataset import Dataset, Rejected, Sample
from trainer.data.splits import PARTS, read_split, relocate, split, write_split


def dataset(**strata: int) -> Dataset:
    """Make samples from ``source_label=count``."""
    samples = [
        Sample(Path(f"/{source}/{label}/{number}"), label, source, f"{source}{label}{number}")
        for key, count in strata.items()
        for source, label in [key.split("_")]
        for number in range(count)
    ]
    return Dataset(tuple(samples))


def test_parts_are_70_10_10_10_within_every_source_and_class():
    parts = split(dataset(a_real=100, a_fake=200, b_real=50), "stratified", 1)
    for stratum, total in ((("a", "real"), 100), (("a", "fake"), 200), (("b", "real"), 50)):
        counts = [sum((s.source, s.label) == stratum for s in parts.part(part)) for part in PARTS]
        assert counts == [total * 7 // 10, total // 10, total // 10, total // 10]


def test_no_sample_is_lost_or_in_two_parts():
    data = dataset(a_real=37, a_fake=41, b_fake=5)
    parts = split(data, "stratified", 3)
    everything = [sample.sha256 for part in PARTS for sample in parts.part(part)]
    assert sorted(everything) == sorted(sample.sha256 for sample in data.samples)


def test_a_seed_decides_the_split():
    data = dataset(a_real=50, a_fake=50)
    assert split(data, "stratified", 1) == split(data, "stratified", 1)
    assert split(data, "stratified", 1).test != split(data, "stratified", 2).test


def test_a_source_added_does_not_move_the_others():
    alone = split(dataset(a_real=50, a_fake=50), "stratified", 1)
    larger = split(dataset(a_real=50, a_fake=50, b_real=30), "stratified", 1)
    assert set(alone.test) <= set(larger.test)


@pytest.mark.parametrize("rule", ["stratified", "as-published"])
def test_a_renamed_file_stays_on_its_side(rule):
    data = dataset(a_real=50, a_fake=50)
    renamed = [replace(data.samples[7], path=Path("/a/real/zzz")), *data.samples[:7], *data.samples[8:]]
    before, after = split(data, rule, 1), split(Dataset(tuple(renamed)), rule, 1)
    for part in PARTS:
        assert {s.sha256 for s in before.part(part)} == {s.sha256 for s in after.part(part)}


def test_every_part_of_a_small_set_holds_both_classes():
    parts = split(dataset(a_real=5, a_fake=6), "stratified", 0)
    assert all({sample.label for sample in parts.part(part)} == {"real", "fake"} for part in PARTS)


def test_fewer_images_than_parts_are_refused():
    with pytest.raises(TrainerError, match="3 fake images are too few for the 4 parts"):
        split(dataset(a_real=50, a_fake=3), "stratified", 0)


def test_as_published_validates_and_tests_on_one_part():
    parts = split(dataset(hardfake_real=589, hardfake_fake=700), "as-published", 42)
    assert (len(parts.train), len(parts.test)) == (1031, 258)
    assert parts.validation == parts.test
    assert parts.calibration == ()
    assert not set(parts.train) & set(parts.test)


def test_as_published_needs_both_classes_on_both_sides():
    with pytest.raises(TrainerError, match="too few for an 80/20 split"):
        split(dataset(a_real=3, a_fake=1), "as-published", 0)


def test_split_csv_names_every_file_and_every_reason(tmp_path):
    data = dataset(a_real=10, a_fake=10)
    data = Dataset(data.samples, (Rejected(Path("/a/real/x"), "real", "a", "corrupt_image: cut"),))
    write_split(tmp_path / "split.csv", data, split(data, "stratified", 0))
    with (tmp_path / "split.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 21
    assert rows[-1]["part"] == "left-out"
    assert rows[-1]["reason"] == "corrupt_image: cut"
    assert sum(row["part"] == "train" for row in rows) == 14


def test_a_file_name_that_is_not_utf8_survives(tmp_path):
    data = dataset(a_real=10, a_fake=10)
    odd = replace(data.samples[0], path=Path(os.fsdecode(b"/a/real/J\xf6rg.jpg")))
    data = Dataset((odd, *data.samples[1:]))
    written = split(data, "stratified", 0)
    write_split(tmp_path / "split.csv", data, written)
    assert read_split(tmp_path / "split.csv") == written


def test_a_split_follows_its_files_and_says_which_is_gone():
    data = dataset(a_real=10, a_fake=10)
    before = split(data, "stratified", 0)
    elsewhere = Dataset(tuple(replace(s, path=Path("/elsewhere") / s.path.name) for s in data.samples))
    after = relocate(before, elsewhere)
    assert [s.sha256 for s in after.test] == [s.sha256 for s in before.test]
    assert all(s.path.is_relative_to("/elsewhere") for s in after.train)
    with pytest.raises(TrainerError, match="a picture of the split is missing from the data"):
        relocate(before, Dataset(data.samples[1:]))


@pytest.mark.parametrize("rule", ["stratified", "as-published"])
def test_a_split_is_read_back_as_it_was_written(tmp_path, rule):
    data = dataset(a_real=20, a_fake=30)
    written = split(data, rule, 0)
    write_split(tmp_path / "split.csv", data, written)
    assert read_split(tmp_path / "split.csv") == written
