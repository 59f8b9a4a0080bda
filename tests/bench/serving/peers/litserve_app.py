"""LitServe: one worker process a core, as its documentation has it for CPUs."""

import sys

import litserve as ls
from fastapi import UploadFile

from tests.bench.serving.peers.scoring import load, score


class Faces(ls.LitAPI):
    """Score one upload."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.engine = load()

    def decode_request(self, request: UploadFile) -> bytes:
        """Return the upload's bytes."""
        return request.file.read()

    def predict(self, payload: bytes) -> dict[str, float]:
        """Score them."""
        return score(self.engine, payload)

    def encode_response(self, output: dict[str, float]) -> dict[str, float]:
        """Return the answer as it is."""
        return output


if __name__ == "__main__":
    server = ls.LitServer(Faces(), accelerator="cpu", workers_per_device=int(sys.argv[2]))
    server.run(port=int(sys.argv[1]), host="127.0.0.1", log_level="warning", generate_client_file=False)
