"""As the students served: Keras's ``model.predict`` on every picture, here behind FastAPI."""

import os
import sys

import keras
import numpy as np
import uvicorn
from fastapi import FastAPI, UploadFile

from service.contract.image.decode import decode
from service.contract.image.image_errors import Limits
from service.contract.image.resize import to_tensor
from service.contract.verdict.calibration import verdicts
from tests.bench.serving.peers.scoring import load

app = FastAPI()
spec = load().spec
model = keras.saving.load_model(os.environ["KERAS_MODEL"])


@app.post("/predict")
def predict(file: UploadFile) -> dict[str, float]:
    """Score one upload."""
    image = decode(file.file.read(), Limits(), spec.exif_policy)
    logits = model.predict(to_tensor(image, spec.preprocessing)[None], verbose=0)
    (verdict,) = verdicts(np.asarray(logits), spec)
    return {"real": verdict.p_real, "fake": verdict.p_fake}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
