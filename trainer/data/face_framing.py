"""Face framing: faces of the training pictures, for recipes that crop the picture to the face."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from service.contract.faces.face import FINDER, Face
from service.contract.spec import Preprocessing
from trainer.common.errors import TrainerError
from trainer.data.dataset import Dataset, Rejected, Sample
from trainer.recipes.recipe import Recipe
from trainer.recipes.run_config import FramingFacts


def with_faces(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Return the dataset without pictures that show no face, where the recipe's framing is ``face``.

    These pictures are listed in ``rejected``.

    Raises:
        TrainerError: no picture of a class shows a face.
    """
    if recipe.preprocessing.framing == "whole":
        return dataset
    kept = tuple(sample for sample in dataset.samples if sample.facts and sample.facts.face)
    for label in {s.label for s in dataset.samples if s.label != "neither"} - {sample.label for sample in kept}:
        raise TrainerError(f"no {label} picture shows a face, and the framing is 'face': use --framing whole")
    reason = "no_face: the face finder sees none, and the framing is 'face'"
    faceless = tuple(
        Rejected(s.path, s.label, s.source, reason) for s in dataset.samples if not (s.facts and s.facts.face)
    )
    return replace(dataset, samples=kept, rejected=(*dataset.rejected, *faceless))


def faces_in_tensors(samples: Sequence[Sample], preprocessing: Preprocessing) -> list[Face | None] | None:
    """Return the face in each cached tensor, in pixels of the tensor; None where the framing is ``whole``.

    Args:
        samples: samples with facts.
        preprocessing: preprocessing that made the tensors.
    """
    if preprocessing.face_margin is None or preprocessing.framing == "whole":
        return None
    return [_in_tensor(sample, preprocessing.face_margin, preprocessing.input_width) for sample in samples]


def _in_tensor(sample: Sample, margin: float, side: int) -> Face | None:
    if sample.facts is None or sample.facts.face is None:
        return None
    face = sample.facts.face
    region = face.region(margin).inside(sample.facts.width, sample.facts.height)
    scale = side / region.side
    left, top = (face.left - region.left) * scale, (face.top - region.top) * scale
    return replace(face, left=left, top=top, width=face.width * scale, height=face.height * scale)


def framing_facts(samples: Sequence[Sample]) -> FramingFacts:
    """Return what a run records of its training pictures: the face finder, faces found, and the median margin."""
    margins = [sample.facts.margin for sample in samples if sample.facts and sample.facts.margin]
    median = round(float(np.median(margins)), 3) if margins else None
    return FramingFacts(FINDER, len(samples), len(margins), median)
