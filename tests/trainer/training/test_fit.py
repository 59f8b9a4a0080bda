"""Tensors, augmentation and batches: exact, cached once, and the same again after a resume."""

from dataclasses import fields
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.trainer.flat_batches import flat_batches
from trainer.augment.reencode import Reencode, classic, make_augment
from trainer.data.dataset import scan
from trainer.data.tensors import cache_tensors, load_tensor, tensor_batches
from trainer.recipes.recipe import RECIPES, Reencoding, get_recipe
from trainer.training.pipeline import Batches, one_hot


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


def test_one_hot_follows_the_class_order(faces):
    samples = scan([faces]).samples
    fake_first = one_hot(samples, ("fake", "real"))
    assert np.array_equal(fake_first, one_hot(samples, ("real", "fake"))[:, ::-1])
    assert fake_first[[sample.label == "fake" for sample in samples]].tolist() == [[1.0, 0.0]] * 24


@pytest.fixture(scope="module")
def portrait(astronaut) -> tuple[np.ndarray, np.ndarray]:
    """A cached tensor of 256 x 256 and the same picture as served, 128 x 128."""
    larger = astronaut.crop((120, 0, 376, 256))
    return np.asarray(larger), np.asarray(larger.resize((128, 128), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("kind", ["classic", "reencode"])
def test_augmentation_gives_the_served_size_and_follows_its_seed(portrait, kind):
    augment = make_augment(get_recipe("residual-cnn", augmentation=kind))
    first, again, other = (augment(*portrait, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == ((128, 128, 3), np.uint8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_augmentation_is_none():
    assert make_augment(get_recipe("residual-cnn", augmentation="none")) is None


def only(**shares: float) -> Reencode:
    """Make the augmentation with every share 0 but these."""
    none = {item.name: 0.0 for item in fields(Reencoding) if item.name not in ("zoom", "quality")}
    return Reencode(128, Reencoding(**(none | shares)))


def test_a_whole_picture_is_exactly_what_will_be_served(portrait):
    assert np.array_equal(only(whole=1.0)(*portrait, np.random.default_rng(0)), portrait[1])


def test_native_crops_are_pixels_of_the_cache_at_every_offset(portrait):
    larger, served = portrait
    rng = np.random.default_rng(0)
    offsets = set()
    for _ in range(60):
        crop = only(native=1.0)(larger, served, rng)
        (found,) = [
            (top, left)
            for top in range(129)
            for left in range(129)
            if np.array_equal(larger[top, left : left + 128], crop[0])
            and np.array_equal(larger[top : top + 128, left : left + 128], crop)
        ]
        offsets.add((found[0] % 8, found[1] % 8))
    assert len(offsets) > 30  # of the 64 phases of the JPEG grid


@pytest.mark.parametrize(
    "step",
    [
        "flip",
        "recompress",
        "recompress_again",
        "rescale",
        "shrink",
        "blur",
        "sharpen",
        "noise",
        "colour",
        "greyscale",
        "mask",
    ],
)
def test_every_step_changes_the_picture_and_keeps_its_size(portrait, step):
    changed = only(whole=1.0, **{step: 1.0})(*portrait, np.random.default_rng(3))
    assert changed.shape == (128, 128, 3)
    assert not np.array_equal(changed, portrait[1])


def test_shrinking_compresses_while_small_and_enlarges_by_the_recipes_filter(portrait, monkeypatch):
    steps = []
    save, resize = Image.Image.save, Image.Image.resize
    monkeypatch.setattr(Image.Image, "save", lambda image, *a, **k: steps.append(image.size) or save(image, *a, **k))
    monkeypatch.setattr(
        Image.Image, "resize", lambda image, size, how: steps.append((size, how)) or resize(image, size, how)
    )
    sides = []
    for seed in range(200):
        steps.clear()
        assert only(whole=1.0, shrink=1.0)(*portrait, np.random.default_rng(seed)).shape == (128, 128, 3)
        (small, _), saved, enlarged = steps
        assert saved == small
        assert enlarged == ((128, 128), Image.Resampling.BICUBIC)
        sides.append(small[0])
    assert 34 <= min(sides) < 45
    assert 115 < max(sides) <= 128


def test_sharpening_sharpens(portrait):
    flat = np.asarray(portrait[1], float)
    sharper = np.asarray(only(whole=1.0, sharpen=1.0)(*portrait, np.random.default_rng(0)), float)
    assert np.abs(np.diff(sharper, axis=1)).mean() > np.abs(np.diff(flat, axis=1)).mean()


def test_compression_uses_both_samplings_every_quality_and_webp(portrait, monkeypatch):
    saved = []
    save = Image.Image.save
    monkeypatch.setattr(
        Image.Image,
        "save",
        lambda image, to, kind, **how: saved.append((kind, how.get("subsampling"))) or save(image, to, kind, **how),
    )
    augment, rng = only(whole=1.0, recompress=1.0, webp=0.3), np.random.default_rng(0)
    for _ in range(60):
        augment(*portrait, rng)
    assert {("JPEG", 0), ("JPEG", 2), ("WEBP", None)} == set(saved)


class Still:
    """A generator that draws the middle of every range, so that ``classic`` moves nothing."""

    def uniform(self, low, high, size=None):
        return np.full(size, (low + high) / 2) if size else (low + high) / 2

    def random(self):
        return 1.0


def test_classic_without_motion_is_the_picture_itself(astronaut):
    image = np.asarray(astronaut.crop((150, 20, 310, 180)))
    assert np.abs(classic(image, Still()).astype(int) - image).max() <= 1


def test_classic_fills_from_the_border():
    image = np.full((50, 50, 3), 90, np.uint8)
    assert (classic(image, np.random.default_rng(0)) == 90).all()


@pytest.fixture
def make_batches():
    tensors = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    labels = np.eye(2, dtype=np.float32)[np.arange(20) % 2]

    def batches(**options) -> Batches:
        return flat_batches(tensors, labels, 6, **options)

    return batches


def epoch(batches: Batches) -> np.ndarray:
    return np.concatenate([batches[index][0][:, 0, 0, 0] for index in range(len(batches))])


def test_an_epoch_holds_every_image_once(make_batches):
    assert sorted(epoch(make_batches(seed=1))) == list(range(20))


def test_images_and_labels_stay_together(make_batches):
    for index in range(4):
        images, labels = make_batches(seed=3)[index]
        assert np.array_equal(images[:, 0, 0, 0] % 2, labels.argmax(axis=1))


def test_alternating_rows_come_every_second_epoch_and_the_rest_in_each(make_batches):
    batches = make_batches(seed=1, halved=[np.arange(0, 7), np.arange(12, 20)])
    seen = []
    for _ in range(4):
        assert len(batches) == 3
        seen.append(sorted(epoch(batches)))
        batches.on_epoch_end()
    for first, second in ((seen[0], seen[1]), (seen[2], seen[3])):
        assert set(first) | set(second) == set(range(20))
        assert set(range(7, 12)) == set(first) & set(second) - set(range(7))
        assert len(set(first) & set(second) & set(range(7))) == 1  # of seven one comes twice
    assert seen[0] != seen[2], "the halves are cut anew"
    resumed = make_batches(seed=1, halved=[np.arange(0, 7), np.arange(12, 20)], first_epoch=3)
    assert sorted(epoch(resumed)) == seen[3]


def test_two_views_stand_side_by_side_under_one_label_and_differ(make_batches):
    def noisy(image, _, rng, *__):
        return image + rng.integers(0, 100, dtype=np.uint8) * 2

    batches = make_batches(seed=1, views=2, augment=noisy, weights=np.arange(20, dtype=np.float32))
    assert len(batches) == 7  # three pictures a step
    for index in range(7):
        images, labels, weights = batches[index]
        assert np.array_equal(labels[::2], labels[1::2])
        assert np.array_equal(weights[::2], weights[1::2])
        assert (images[::2] != images[1::2]).any()
        assert np.array_equal(images[:, 0, 0, 0] % 2, labels.argmax(axis=1))
    single = make_batches(seed=1, augment=noisy)
    assert np.array_equal(single[0][0], np.concatenate([batches[0][0][::2], batches[1][0][::2]]))


def test_validation_keeps_its_order(make_batches):
    assert epoch(make_batches()).tolist() == list(range(20))


def test_epochs_differ_and_a_resumed_run_sees_the_same_data(make_batches):
    def noisy(image, _, rng, *__):
        return image + rng.integers(0, 50, dtype=np.uint8)

    whole = make_batches(seed=9, augment=noisy)
    seen = []
    for _ in range(3):
        seen.append(epoch(whole))
        whole.on_epoch_end()
    assert not np.array_equal(seen[0], seen[1])
    assert np.array_equal(epoch(make_batches(seed=9, augment=noisy, first_epoch=2)), seen[2])
