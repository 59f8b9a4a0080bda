"""Triton's core through nvidia-pytriton: a picture's bytes as UINT8, one Python function a core, in one process."""

import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from tests.bench.serving.peers.scoring import load, score


def instance() -> Callable[[list[Any]], list[dict[str, np.ndarray]]]:
    """Return one instance's function, with a model of its own."""
    engine = load()

    def infer(requests: list[Any]) -> list[dict[str, np.ndarray]]:
        return [{"fake": np.array([score(engine, request["image"].tobytes())["fake"]])} for request in requests]

    return infer


if __name__ == "__main__":
    workers = int(os.environ.get("WORKERS", "2"))
    port = int(sys.argv[1])
    config = TritonConfig(http_address="127.0.0.1", http_port=port, grpc_port=port + 1, metrics_port=port + 2)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="faces",
            infer_func=[instance() for _ in range(workers)],
            inputs=[Tensor(name="image", dtype=np.uint8, shape=(-1,))],
            outputs=[Tensor(name="fake", dtype=np.float64, shape=(1,))],
            config=ModelConfig(batching=False),
            strict=True,
        )
        triton.serve()
