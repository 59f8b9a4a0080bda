"""The resampling confound of dilated-cnn-128: what it learned, shown by shrinking the same pictures two ways.

As published, real faces were shrunk to 128 px with antialiasing beforehand, and fakes with nearest
neighbour while they were read. Give two model files: trained that way, and with both shrunk alike.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from service.contract.bounded_read import read_bounded
from service.contract.image.decode import DecodedImage, decode
from service.contract.image.resize import to_tensor
from service.inference.engine import Engine
from service.inference.engine_options import EngineOptions
from tests.conftest import FACES
from trainer.data.dataset import SCAN_LIMITS
from trainer.evaluation.evaluate import calibrated

SIDE = 128
FILTERS = {"nearest": Image.Resampling.NEAREST, "antialiased (Lanczos)": Image.Resampling.LANCZOS}


def called_fake(engine: Engine, paths: Iterable[Path], resample: Image.Resampling) -> float:
    """Return the share of pictures with P(fake) of .5 or more, once shrunk to 128 px by this filter."""
    tensors = []
    for path in paths:
        rgb = decode(read_bounded(path, SCAN_LIMITS.max_bytes), SCAN_LIMITS, "apply").rgb.resize((SIDE, SIDE), resample)
        tensors.append(to_tensor(DecodedImage("", SIDE, SIDE, rgb), engine.spec.preprocessing))
    p_fake = [calibrated(engine.logits(np.stack(tensors[i : i + 64])), engine.spec) for i in range(0, len(tensors), 64)]
    return float((np.concatenate(p_fake) >= 0.5).mean())


def main(published: Path, alike: Path) -> None:
    """Print the share called fake, for the same pictures shrunk two ways, by two networks."""
    sets = {
        "real: FFHQ photos of 256 px (ffhq-stylegan1)": FACES / "ffhq-stylegan1" / "real",
        "fake: StyleGAN1 of 256 px (ffhq-stylegan1)": FACES / "ffhq-stylegan1" / "fake",
        "fake: MobileStyleGAN of 256 px": FACES / "mobile-stylegan" / "fake",
        "real: CelebA of about 200 px": FACES / "celeba" / "real",
    }
    table = Table("P(fake) ≥ .5 of", "shrunk by", "trained as published", "trained with both shrunk alike")
    engines = [Engine.load(path, EngineOptions("cpu")) for path in (published, alike)]
    for name, folder in sets.items():
        paths = sorted(folder.iterdir())[:800]
        for how, resample in FILTERS.items():
            table.add_row(name, how, *(f"{called_fake(engine, paths, resample):.1%}" for engine in engines))
    Console().print(table)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
