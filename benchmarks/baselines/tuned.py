"""The same by someone who has measured: a process a core, each with one thread that decodes and runs the model.

One ONNX thread, no spinning, Tureen's own `prepare` into an array that stays, a small response. It has no queue
of its own and makes no promise.
"""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from fastapi import FastAPI, Request, Response

from benchmarks.bare import bare_session
from benchmarks.baselines import launch
from preprocess.errors import ImageError
from preprocess.limits import Limits
from preprocess.recipe import Recipe
from preprocess.tensor import prepare
from server.models.card import find_model
from server.models.signature import recipe_from_input
from server.process.cpus import usable_cpus

_TOP = 5


def create_app() -> FastAPI:
    found = find_model(launch.model_path())
    session = bare_session(found.model_file)
    given, outputs = session.get_inputs()[0], [session.get_outputs()[0].name]
    recipe: Recipe = recipe_from_input(given.shape, given.type, found.card.input)
    slot = np.zeros((1, *recipe.shape), recipe.dtype)
    limits = Limits()
    one_thread = ThreadPoolExecutor(1)

    def classify(data: bytes) -> bytes:
        prepare(data, recipe, slot[0], limits)
        logits = session.run(outputs, {given.name: slot})[0][0]
        scores = np.exp(logits - logits.max())
        scores /= scores.sum()
        best = np.argpartition(scores, -_TOP)[-_TOP:]
        best = best[np.argsort(scores[best])[::-1]]
        predictions = [{"label": str(one), "score": round(float(scores[one]), 6)} for one in best]
        return json.dumps({"predictions": predictions}).encode()

    app = FastAPI(lifespan=launch.announced)

    @app.post("/v1/images")
    async def images(request: Request) -> Response:
        body = await request.body()
        try:
            answer = await asyncio.get_running_loop().run_in_executor(one_thread, classify, body)
        except ImageError as error:
            return Response(str(error), 422)
        return Response(answer, media_type="application/json")

    return app


if __name__ == "__main__":
    launch.serve("benchmarks.baselines.tuned:create_app", sys.argv[1], workers=usable_cpus())
