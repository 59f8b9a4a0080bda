"""What conditions do to scores and verdicts."""

import numpy as np
import pytest
from PIL import Image

from service.contract.faces.finder import face_finder
from service.contract.image.decode import DecodedImage
from service.contract.image.resize import to_tensor
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from trainer.data.dataset import scan
from trainer.evaluation.evaluate import calibrated
from trainer.evaluation.robustness import robustness, stratified_subset
from trainer.report import plots
from trainer.report.printing import print_robustness


def test_robustness_of_clean_pictures_equals_the_engine(model, shades):
    engine, samples = Engine.load(model, EngineOptions("cpu")), stratified_subset(scan([shades]).samples, 10)
    result = robustness(engine, samples)
    assert result["images"] == len(samples) == 20
    clean = result["conditions"][0]
    tensors = np.stack(
        [
            to_tensor(DecodedImage("", *im.size, im), engine.spec.preprocessing)
            for s in samples
            for im in [Image.open(s.path)]
        ]
    )
    p_fake = calibrated(engine.logits(tensors), engine.spec)
    assert clean["uncertain"] == np.mean((p_fake > engine.spec.threshold_real) & (p_fake < engine.spec.threshold_fake))
    assert clean["flipped"] == 0
    # A mean colour survives compression and scaling.
    assert result["flips"]["rate"] < 0.1
    assert np.array(result["flips"]["grid"]).shape == (3, 3)


def test_faces_too_small_to_judge_have_no_flips(astronaut, model, tmp_path, capsys):
    """At half size the face has 30 of the 48 pixels that the service wants."""
    root = tmp_path / "photos"
    for label in ("real", "fake"):
        (root / label).mkdir(parents=True)
    scale = 60 / face_finder().find(astronaut)[0].side
    small = astronaut.resize((round(astronaut.width * scale), round(astronaut.height * scale)))
    small.save(root / "real" / "face.png")
    Image.new("RGB", (200, 200), (90, 120, 90)).save(root / "fake" / "meadow.png")
    engine, samples = Engine.load(model, EngineOptions("cpu")), scan([root]).samples
    result = robustness(engine, [sample for sample in samples if sample.path.name == "face.png"])["flips"]
    assert result["unjudged"] == pytest.approx(1 / 3)
    assert [row[0] for row in result["grid"]] == [None, None, None]
    assert np.isfinite([row[1:] for row in result["grid"]]).all()
    texts = [text.get_text() for text in plots.flips(result).axes[0].texts]
    assert (len(texts), texts.count("–")) == (9, 3)
    together = robustness(engine, samples)["flips"]
    assert together["unjudged"] == pytest.approx(1 / 6)
    assert np.isfinite(together["grid"]).all()
    print_robustness({"robustness": {"conditions": [], "flips": together}, "drawings": {"pictures": 2, "sure": 0.5}})
    said = capsys.readouterr().out
    assert "excluded, face too small for a verdict: 16.7 %; flip rate with these" in said
    assert "drawings of 2 pictures called real or fake: 50.0 %" in said
