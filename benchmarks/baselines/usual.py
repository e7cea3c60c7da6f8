"""A model behind FastAPI as most teams write it first, and as most tutorials show it.

One process, an `async def` endpoint, the work in the framework's thread pool, one session with ONNX Runtime's
default threads, pictures opened with Pillow and normalised with numpy.
"""

from __future__ import annotations

import io
import sys

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image, UnidentifiedImageError

from benchmarks.baselines import launch
from preprocess.recipe import IMAGENET_MEAN, IMAGENET_STD
from server.models.card import find_model

_SIDE, _TOP = 224, 5
_MEAN, _STD = (np.array(values, np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))


def create_app() -> FastAPI:
    session = ort.InferenceSession(find_model(launch.model_path()).model_file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def classify(data: bytes) -> dict:
        try:
            image = Image.open(io.BytesIO(data)).convert("RGB")
        except UnidentifiedImageError as error:
            raise HTTPException(415, "not an image") from error
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.crop((left, top, left + side, top + side)).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
        values = (np.asarray(square, np.float32) / 255 - _MEAN) / _STD
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        logits = session.run(None, {name: batch})[0][0]
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
        best = np.argsort(scores)[::-1][:_TOP]
        return {"predictions": [{"label": str(one), "score": float(scores[one])} for one in best]}

    app = FastAPI(lifespan=launch.announced)

    @app.post("/v1/images")
    async def images(request: Request) -> dict:
        return await run_in_threadpool(classify, await request.body())

    return app


if __name__ == "__main__":
    launch.serve("benchmarks.baselines.usual:create_app", sys.argv[1], workers=1)
