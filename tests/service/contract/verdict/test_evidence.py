"""Evidence: the exact map, occlusion, and whether what either points at is what the verdict rests on."""

import numpy as np
import pytest

from service.contract.faces.framing import FacePolicy
from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.preparation import prepare
from service.contract.verdict import evidence
from service.contract.verdict.calibration import fake_probability, log_odds
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from tests.conftest import REPOSITORY

BOX = (0.0, 0.0, 1.0, 1.0)
FAKES = {"ffhq-stylegan1": 700, "hardfake": 0, "stylegan2-512": 0, "mobile-stylegan": 1900}


def without(tensor: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return a picture, uint8 ``[H, W, 3]``, with the chosen parts of ``[rows, columns]`` covered."""
    covered, result = evidence.blurred(tensor), tensor.copy()
    parts = evidence._grid(tensor.shape[0], tensor.shape[1], *chosen.shape)
    for (rows, columns), gone in zip(parts, chosen.ravel(), strict=True):
        if gone:
            result[rows, columns] = covered[rows, columns]
    return result


def test_evidence_map_averages_to_the_log_odds(make_model, make_spec, astronaut):
    engine = Engine.from_bytes(make_model(make_spec(), evidence=True), EngineOptions("cpu", 1))
    tensor = np.asarray(astronaut.resize((48, 48)))[None]
    result = evidence.from_map(engine.evidence(tensor)[0], engine.spec, BOX)
    odds = log_odds(engine.logits(tensor), "softmax", 1, engine.spec.temperature)
    assert result.values.shape == (6, 6)
    assert result.values.mean() == pytest.approx(odds[0], abs=1e-5)


def test_occlusion_finds_the_one_bright_part(make_model, make_spec):
    engine = Engine.from_bytes(make_model(make_spec()), EngineOptions("cpu", 1))
    tensor = np.full((48, 48, 3), 90, np.uint8)
    tensor[12:18, 30:36] = 255
    result = evidence.from_occlusion(engine.logits(evidence.occluded(tensor)), engine.spec, BOX)
    assert result.values.shape == (8, 8)
    assert np.unravel_index(result.values.argmax(), result.values.shape) == (2, 5)


def test_what_is_covered_is_covered_and_nothing_else():
    tensor = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    chosen = np.zeros((4, 4), bool)
    chosen[1, 2] = True
    changed = (without(tensor, chosen) != tensor).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 24, 25, 37)
    assert np.array_equal(without(tensor, np.zeros((4, 4), bool)), tensor)


def fakes(faces_data) -> list:
    """200 fakes, none of which the default model was trained on, or of its test part's sources."""
    paths = []
    for source, first in FAKES.items():
        files = [path for path in sorted((faces_data / source / "fake").iterdir()) if path.stat().st_size]
        paths += files[first : first + 50]
    return paths


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "method", "count"),
    [
        ("efficientnet-lite/0.2.1", "map", 200),
        ("residual-cnn/0.1.3", "map", 200),
        ("dilated-cnn-128/0.1.0", "occlusion", 60),
    ],
)
def test_occluding_top_evidence_lowers_p_fake_more_than_chance(faces_data, model, method, count):
    engine = Engine.load(REPOSITORY / "models" / model / "model.onnx", EngineOptions("cpu", 2))
    spec, draw = engine.spec, np.random.default_rng(0)
    chosen = fakes(faces_data)[:: 200 // count]
    falls = []
    for path in chosen:
        image = decode(path.read_bytes(), Limits(), spec.exif_policy)
        tensor = prepare(image, spec.preprocessing, FacePolicy()).tensors[0]
        if method == "map":
            values = evidence.from_map(engine.evidence(tensor[None])[0], spec, BOX).values
        else:
            logits = engine.logits_in_parts(evidence.occluded(tensor))
            values = evidence.from_occlusion(logits, spec, BOX).values
        most = np.zeros(values.size, bool)
        most[np.argsort(-values, axis=None)[: round(values.size / 10)]] = True
        any_tenth = draw.permutation(most)
        variants = np.stack([tensor, *(without(tensor, mask.reshape(values.shape)) for mask in (most, any_tenth))])
        p = fake_probability(engine.logits(variants), spec.output_kind, spec.fake_index, spec.temperature)
        falls.append(p[0] - p[1:])
    by_evidence, by_chance = np.mean(falls, axis=0)
    print(f"{model}, {method}, {len(chosen)} fakes: P(fake) falls by {by_evidence:.3f}, by chance {by_chance:.3f}")
    assert len(chosen) >= count
    assert by_evidence > by_chance + 0.05
