"""Facts of pictures: quality, sharpness, colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer.audit.shortcut_score import features
from trainer.data.picture_facts import facts_of_file, facts_of_tensor, jpeg_quality


def saved(tmp_path: Path, image: Image.Image, name: str, **how) -> tuple[bytes, Image.Image]:
    path = tmp_path / name
    image.save(path, **how)
    return path.read_bytes(), image


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 90, 95, 100])
def test_quality_is_read_from_the_quantisation_tables(astronaut, tmp_path, quality):
    facts = facts_of_file(*saved(tmp_path, astronaut, "x.jpg", quality=quality, subsampling=2))
    assert (facts.quality, facts.subsampling, facts.format) == (quality, "4:2:0", "JPEG")


def test_other_formats_have_no_quality(astronaut, tmp_path):
    facts = facts_of_file(*saved(tmp_path, astronaut, "x.png"))
    assert (facts.quality, facts.subsampling, facts.format) == (None, "", "PNG")
    assert jpeg_quality({}) is None


def test_blur_lowers_sharpness_and_greyscale_is_seen(astronaut):
    face = np.asarray(astronaut.crop((120, 0, 376, 256)))
    soft = np.asarray(Image.fromarray(face).resize((64, 64)).resize((256, 256)))
    grey = np.asarray(Image.fromarray(face).convert("L").convert("RGB"))
    assert facts_of_tensor(soft).sharpness < facts_of_tensor(face).sharpness
    assert facts_of_tensor(grey).greyscale
    assert not facts_of_tensor(face).greyscale


def test_what_a_file_does_not_have_is_not_a_number(astronaut, tmp_path):
    row = features([facts_of_file(*saved(tmp_path, astronaut, "x.png"))])[0]
    assert np.isnan(row[4])
    assert np.isnan(row[5])
