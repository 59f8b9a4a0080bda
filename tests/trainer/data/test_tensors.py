"""Cached tensors: those of the contract, in order, and never those of other or changed data."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.trainer.flat_batches import flat_batches
from tests.trainer.runs import said
from trainer.common.errors import TrainerError
from trainer.data.dataset import scan
from trainer.data.splits import read_split
from trainer.data.tensors import cache_tensors, load_tensor, tensor_batches
from trainer.recipes.recipe import RECIPES


def assert_equals_load_img(folder: Path, name: str) -> None:
    """Hold the contract's tensors of a published recipe against what that system's own code read."""
    how = RECIPES[name].preprocessing
    paths = sorted(folder.iterdir())[:12]
    assert paths
    for path in paths:
        expected = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(how.input_height, how.input_width)))
        assert np.array_equal(load_tensor(path, how), expected.astype(np.uint8)), path


@pytest.mark.parametrize("name", ["flatten-cnn-300", "dilated-cnn-128"])
def test_published_preprocessing_is_keras_load_img_bit_for_bit(faces, name):
    assert_equals_load_img(faces / "real", name)


@pytest.mark.parametrize("folder", ["hardfake/real", "celeba/real", "ffhq-stylegan1/fake"])
@pytest.mark.parametrize("name", ["flatten-cnn-300", "dilated-cnn-128"])
def test_published_preprocessing_is_keras_load_img_on_real_faces(faces_data, folder, name):
    assert_equals_load_img(faces_data / folder, name)


def test_the_cache_holds_the_contracts_tensors_in_order(faces, tmp_path):
    samples, how = scan([faces]).samples, RECIPES["residual-cnn"].preprocessing
    cached = cache_tensors(samples, how, tmp_path, "test")
    assert (cached.shape, cached.dtype) == ((48, 128, 128, 3), np.uint8)
    assert np.array_equal(cached[7], load_tensor(samples[7].path, how))
    assert np.array_equal(np.concatenate(list(tensor_batches(samples, how, 10))), cached)


def test_a_cache_is_made_once_and_never_taken_for_other_data(faces, tmp_path):
    samples, how = scan([faces]).samples, RECIPES["residual-cnn"].preprocessing
    cache_tensors(samples, how, tmp_path, "test")
    (made,) = tmp_path.glob("*.npy")
    first = made.stat().st_mtime_ns
    cache_tensors(samples, how, tmp_path, "test")
    assert made.stat().st_mtime_ns == first
    cache_tensors(samples[::-1], how, tmp_path, "test")
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_a_damaged_cache_is_made_again(faces, tmp_path):
    samples, how = scan([faces]).samples, RECIPES["residual-cnn"].preprocessing
    whole = np.array(cache_tensors(samples, how, tmp_path, "test"))
    (path,) = tmp_path.glob("*.npy")
    content = path.read_bytes()
    black = content[:128] + bytes(len(content) - 128)
    flipped = content[:-1] + bytes([content[-1] ^ 1])
    for damage in (b"junk", content[:1000], black, flipped):
        path.write_bytes(damage)
        assert np.array_equal(cache_tensors(samples, how, tmp_path, "test"), whole)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_reading_a_large_cache_does_not_grow_the_process(tmp_path):
    def resident() -> int:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines["RssFile"].split()[0])

    count, shape = 2048, (160, 160, 3)  # 157 MB
    written = np.lib.format.open_memmap(tmp_path / "t.npy", mode="w+", dtype=np.uint8, shape=(count, *shape))
    for start in range(0, count, 256):
        written[start : start + 256] = start // 256
    del written
    tensors = np.load(tmp_path / "t.npy", mmap_mode="r")
    batches = flat_batches(tensors, np.zeros((count, 2), np.float32), 64, seed=0)
    before, most = resident(), 0
    for index in range(len(batches)):
        assert batches[index][0].max() <= 8
        most = max(most, resident())
    assert most - before < 30_000  # kB


def test_a_cache_that_fails_leaves_nothing_behind(faces, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.data.tensors.load_sample", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cache_tensors(scan([faces]).samples, RECIPES["residual-cnn"].preprocessing, tmp_path, "test")
    assert list(tmp_path.iterdir()) == []


def test_pictures_that_were_swapped_after_the_split_are_refused(trainer, data, finished, copied, tmp_path, capsys):
    """Found in review: whatever lay under the path was scored, and the figures called the run's."""
    run, moved = copied(finished), Path(shutil.copytree(data, tmp_path / "faces"))
    table = run / "split.csv"
    table.write_text(table.read_text("utf-8").replace(str(data), str(moved)), "utf-8")
    real_picture, fake_picture = moved / "real" / "000.jpg", moved / "fake" / "000.jpg"
    for sample in read_split(table).test:
        shutil.copy(fake_picture if sample.label == "real" else real_picture, sample.path)
    (run / "metrics.json").unlink()
    assert trainer("export", run) == 1
    assert "has changed since it was scanned" in said(capsys)


def test_picture_changed_while_cached_is_not_kept_in_the_cache(write_faces, tmp_path):
    data, cache = write_faces(tmp_path / "faces", real=4, fake=4), tmp_path / "cache"
    samples, how = scan([data]).samples, RECIPES["meso-4"].preprocessing
    before = samples[0].path.read_bytes()
    samples[0].path.write_bytes(samples[-1].path.read_bytes())
    with pytest.raises(TrainerError, match="has changed since it was scanned"):
        cache_tensors(samples, how, cache, "test")
    samples[0].path.write_bytes(before)
    assert cache_tensors(samples, how, cache, "test")[0].any()
