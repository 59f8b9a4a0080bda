"""What every peer does with a picture: this project's decode, resize, session options and calibration, no faces.

Needs numpy, Pillow and onnxruntime only, so that it runs in every peer's environment.
"""

import os
from pathlib import Path

from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.image.resize import to_tensor
from service.contract.verdict.calibration import verdicts
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions

_LIMITS = Limits()


def load() -> Engine:
    """Return the model that the variable ``MODEL`` names, one thread a run, as the service has it."""
    return Engine.load(Path(os.environ["MODEL"]), EngineOptions("cpu", 1))


def score(engine: Engine, payload: bytes) -> dict[str, float]:
    """Return P(real) and P(fake) of one picture."""
    image = decode(payload, _LIMITS, engine.spec.exif_policy)
    tensor = to_tensor(image, engine.spec.preprocessing)
    (verdict,) = verdicts(engine.logits(tensor[None]), engine.spec)
    return {"real": verdict.p_real, "fake": verdict.p_fake}
