"""The FastAPI application that most would write: an upload, a thread of the pool, a dictionary."""

import sys

import uvicorn
from fastapi import FastAPI, UploadFile

from tests.bench.serving.peers.scoring import load, score

app = FastAPI()
engine = load()


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, float]:
    """Score one upload."""
    return score(engine, file.file.read())


if __name__ == "__main__":
    workers = int(sys.argv[2])
    uvicorn.run("tests.bench.serving.peers.plain:app", port=int(sys.argv[1]), workers=workers, log_level="warning")
