"""mosec: a Rust front end and one Python process a core; the raw body is the picture."""

import os

from mosec import Server, Worker

from tests.bench.serving.peers.scoring import load, score


class Faces(Worker):
    """Scores one raw body."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = load()

    def deserialize(self, data: bytes) -> bytes:
        """Return the body as it is."""
        return data

    def forward(self, data: bytes) -> dict[str, float]:
        """Score it."""
        return score(self.engine, data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Faces, num=int(os.environ.get("WORKERS", "2")), route="/predict")
    server.run()
