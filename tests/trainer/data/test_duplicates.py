"""Near duplicates by perceptual hashes."""

import numpy as np
from PIL import Image

from trainer.data.dataset import scan
from trainer.data.duplicates import near_duplicates


def test_smaller_copy_is_a_near_duplicate_new_picture_is_not(astronaut, tmp_path):
    (tmp_path / "real").mkdir()
    face = astronaut.crop((100, 0, 356, 256))
    face.save(tmp_path / "real" / "face.jpg", quality=92)
    face.resize((150, 150), Image.Resampling.BICUBIC).save(tmp_path / "real" / "small.jpg", quality=50)
    astronaut.crop((200, 200, 456, 456)).save(tmp_path / "real" / "other.jpg")
    samples = scan([tmp_path], one_class=True).samples
    pairs = [{samples[first].path.name, samples[second].path.name} for first, second in near_duplicates(samples)]
    assert pairs == [{"face.jpg", "small.jpg"}]


def test_near_duplicates_equal_those_of_all_pairs(tmp_path, write_faces):
    samples = scan([write_faces(tmp_path / "d", 30, 30)]).samples
    bits = np.array([np.unpackbits(np.frombuffer(s.facts.phash, np.uint8)) for s in samples])
    distance = (bits[:, None] != bits[None]).sum(axis=2)
    expected = {(int(a), int(b)) for a, b in np.argwhere(distance <= 60) if a < b}
    assert expected
    pairs = {tuple(map(int, pair)) for pair in near_duplicates(samples, 60)}
    # Equal hashes are chained, so of equal pictures not every pair is named.
    assert pairs <= expected
    tied = {frozenset(pair) for pair in pairs}
    assert all(
        frozenset(pair) in tied or (bits[pair[0]] == bits[pair[1]]).all() or _linked(pair, pairs) for pair in expected
    )


def _linked(pair: tuple[int, int], pairs: set[tuple[int, int]]) -> bool:
    reached, todo = {pair[0]}, [pair[0]]
    while todo:
        here = todo.pop()
        for edge in pairs:
            if here in edge and not set(edge) <= reached:
                todo += set(edge) - reached
                reached |= set(edge)
    return pair[1] in reached
