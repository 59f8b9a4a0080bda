"""Seconds to export, against Keras's stock route, for the 46-million-parameter network and ours."""

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.bench.timing import Row, print_table


def main() -> None:
    """Export untrained networks both ways."""
    import numpy as np

    from trainer.export.convert import convert
    from trainer.networks.networks import build_network, logits_model
    from trainer.recipes.recipe import RECIPES

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("residual-cnn", "flatten-cnn-300"):
            network = logits_model(build_network(RECIPES[name]))
            network(np.zeros((1, *network.input.shape[1:]), np.uint8))
            start = time.perf_counter()
            network.export(Path(folder) / "stock.onnx", format="onnx", verbose=False)
            stock = time.perf_counter() - start
            start = time.perf_counter()
            (Path(folder) / "ours.onnx").write_bytes(convert(network).SerializeToString())
            rows.append(Row(name, stock, time.perf_counter() - start))
    print_table("export, seconds", ("model.export", "trainer"), rows)
