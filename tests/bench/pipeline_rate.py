"""Images a second of the input pipeline alone, of the network alone, and of both in a fit."""

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from tests.conftest import FACES
from trainer.augment.reencode import make_augment
from trainer.data.dataset import scan
from trainer.data.tensors import cache_tensors
from trainer.networks.networks import compiled_network
from trainer.recipes.recipe import get_recipe
from trainer.training.augmented_pictures import AugmentedPictures
from trainer.training.pipeline import Batches, BatchOrder, Parallelism, Targets, one_hot

IMAGES = 1024
WORKERS = 2


def batches(folder: Path, augment: bool, processes: int = 0) -> Batches:
    """Return seeded batches of real faces (or of noise where there are none), augmented or not."""
    recipe = get_recipe("residual-cnn")
    if FACES.is_dir():
        samples = scan([FACES / "ffhq-stylegan1"]).samples[:: max(1, 1631 // IMAGES)][:IMAGES]
        labels = one_hot(samples, recipe.class_names)
        tensors = cache_tensors(samples, recipe.preprocessing, folder, "served")
        larger = cache_tensors(samples, recipe.train_preprocessing, folder, "larger")
    else:
        rng = np.random.default_rng(0)
        labels = np.eye(2, dtype=np.float32)[np.arange(IMAGES) % 2]
        tensors, larger = (rng.integers(0, 256, (IMAGES, side, side, 3), np.uint8) for side in (128, 256))
    return Batches(
        AugmentedPictures(tensors, larger, augment=make_augment(recipe) if augment else None),
        Targets(labels),
        BatchOrder(recipe.batch_size, shuffle=True),
        Parallelism(WORKERS, processes),
    )


def rate_of_pipeline(data: Batches) -> float:
    """Images a second, prepared as in a fit and thrown away; the first batches start the processes."""
    with closing(data), ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(data.__getitem__, range(4 * WORKERS)))
        started = time.perf_counter()
        count = sum(len(batch[0]) for batch in pool.map(data.__getitem__, range(len(data))))
    return count / (time.perf_counter() - started)


def rate_of_fit(data: Batches) -> float:
    """Images a second of the second epoch: the first one also compiles."""
    model = compiled_network(get_recipe("residual-cnn"), len(data))
    model.fit(data, epochs=1, verbose=0, shuffle=False)
    started = time.perf_counter()
    model.fit(data, epochs=1, verbose=0, shuffle=False)
    return len(data) * get_recipe("residual-cnn").batch_size / (time.perf_counter() - started)


def main() -> None:
    """Print the table; the ratio is to the network alone, which is the limit."""
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        plain, augmented = batches(Path(folder), augment=False), batches(Path(folder), augment=True)
        workers = batches(Path(folder), augment=True, processes=WORKERS)
        rates = {
            "pipeline alone (read, crop, re-encode, …)": rate_of_pipeline(augmented),
            f"the same by {WORKERS} processes (--workers)": rate_of_pipeline(workers),
            "network alone (tensors as served)": rate_of_fit(plain),
            "both, in a fit": rate_of_fit(augmented),
        }
    table = Table("residual-cnn", "images a second", "ratio to the network alone", title="input pipeline")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:.0f}", f"{rate / rates['network alone (tensors as served)']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
