"""BentoML: a service of its own workers, with the upload as a file."""

import os
from pathlib import Path

import bentoml

from tests.bench.serving.peers.scoring import load, score


@bentoml.service(
    workers=int(os.environ.get("WORKERS", "2")),
    traffic={"timeout": 30},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Faces:
    """Scores one upload."""

    def __init__(self) -> None:
        self.engine = load()

    @bentoml.api(route="/predict")
    def predict(self, file: Path) -> dict[str, float]:
        """Score one upload."""
        return score(self.engine, file.read_bytes())
