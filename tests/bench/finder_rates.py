"""In how many pictures each face finder sees a face, and how long it takes: the one taken and those that were not.

Folders named on the command line hold pictures without a face: their rate is that of false detections.
"""

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import dlib
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from service.contract.faces.detector import SIDE
from service.contract.faces.finder import MIN_SCORE, face_finder
from service.contract.image.decode import decode
from service.contract.image.image_errors import ImageError, Limits
from tests.conftest import FACES, PUBLIC_DOMAIN

Find = Callable[[Image.Image], int]
MOST = 600
SETS = (
    *("hardfake/real", "hardfake/fake", "ffhq-stylegan1/real", "ffhq-stylegan1/fake", "ffhq-128/real", "celeba/real"),
    *("utkface/real", "lfw/real", "stylegan2-512/fake", "generated-photos/fake", "generated-portraits/fake"),
    *("mobile-stylegan/fake", "dfdc-faceswap/real", "dfdc-faceswap/fake", "photos"),
)
NO_FACE = ("brick", "grass", "gravel", "moon", "coins", "coffee", "chelsea", "rocket", "motorcycle_left", "horse")


def bounded(rgb: Image.Image, longest: int = 640) -> np.ndarray:
    """Return a copy whose longest side is at most ``longest``: dlib and Haar see no face under 80 and 24 pixels."""
    scale = min(1.0, longest / max(rgb.size))
    size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
    return np.asarray(rgb.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def finders() -> dict[str, Find]:
    """Return functions that count the faces of a picture, each on one thread."""
    cv2.setNumThreads(1)
    ours, frontal = face_finder(), dlib.get_frontal_face_detector()
    haar = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    return {
        "ours": lambda rgb: len(ours.find(rgb)),
        "first look": lambda rgb: len(ours._search(rgb, SIDE, MIN_SCORE)),
        "dlib": lambda rgb: len(frontal.run(bounded(rgb), 0, 0.0)[0]),
        "dlib at -.3": lambda rgb: len(frontal.run(bounded(rgb), 0, -0.3)[0]),
        "Haar": lambda rgb: len(haar.detectMultiScale(cv2.cvtColor(bounded(rgb), cv2.COLOR_RGB2GRAY), 1.1, 5)),
    }


def pictures(folder: Path) -> list[Image.Image]:
    """Return up to 600 readable pictures under a folder, at random but the same each time."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    pictures: list[Image.Image] = []
    for path in random.Random(0).sample(paths, len(paths)):
        try:
            pictures.append(decode(path.read_bytes(), Limits(max_bytes=1 << 28), "apply").rgb)
        except ImageError:
            continue
        if len(pictures) == MOST:
            break
    return pictures


def main(folders: list[Path]) -> None:
    """Print the table: share of pictures with a face, and median milliseconds."""
    tried = finders()
    table = Table("", "pictures", *(f"{name}: found, ms" for name in tried), title="face finders, one thread")
    sets = {name: FACES / name for name in SETS if FACES.is_dir()}
    sets |= {f"no face: {folder.name}": folder for folder in folders}
    none = [Image.open(p).convert("RGB") for p in PUBLIC_DOMAIN.iterdir() if p.stem in NO_FACE]
    noise = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (300, 300, 3), np.uint8)) for n in range(50)]
    for name, chosen in [
        *((name, pictures(folder)) for name, folder in sets.items()),
        ("no face: public domain", none),
        ("no face: noise", noise),
    ]:
        row = [name, str(len(chosen))]
        for find in tried.values():
            counts, taken = [], []
            for rgb in chosen:
                start = time.perf_counter()
                counts.append(find(rgb))
                taken.append((time.perf_counter() - start) * 1000)
            row.append(f"{np.mean(np.array(counts) > 0):.1%}  {np.median(taken):.1f}")
        table.add_row(*row)
    Console(width=160).print(table)


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
