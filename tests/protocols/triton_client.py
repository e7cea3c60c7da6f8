"""Triton's own Python client, unmodified, against a server: prints what it saw as JSON. Run by test_triton.py.

python triton_client.py http|grpc|aio ADDRESS MODEL PHOTO TENSOR
"""

import asyncio
import importlib
import inspect
import json
import sys
from pathlib import Path

import numpy as np

KIND, ADDRESS, MODEL, PHOTO, TENSOR = sys.argv[1:]
MODULE = {"http": "tritonclient.http", "grpc": "tritonclient.grpc", "aio": "tritonclient.grpc.aio",
          "http-aio": "tritonclient.http.aio"}[KIND]  # fmt: skip
triton = importlib.import_module(MODULE)
BINARY = {"binary_data": True} if "http" in KIND else {}


def tensor_input(array, name="image", datatype="FP32", **options):
    """Give an input with these values."""
    given = triton.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, **options)
    return given


async def settle(call):
    """Give what a call gives, of a client that waits as of one that does not."""
    value = call()
    return await value if inspect.isawaitable(value) else value


async def refused(call):
    """Give the error that a call raises."""
    try:
        await settle(call)
    except triton.InferenceServerException as error:
        return [str(error.status()), error.message()]
    return "it was answered"


async def main():
    """Call everything."""
    client = triton.InferenceServerClient(ADDRESS)
    seen = {}
    tensor = np.load(TENSOR)
    photo = Path(PHOTO).read_bytes()  # noqa: ASYNC240 - nobody waits for this loop
    images = np.array([[photo], [photo]], dtype=object)

    def infer(*inputs, model=MODEL, **options):
        return lambda: client.infer(model, list(inputs), **options)

    seen["live"] = await settle(client.is_server_live)
    seen["ready"] = await settle(client.is_server_ready)
    seen["model ready"] = await settle(lambda: client.is_model_ready(MODEL, "1"))
    as_json = {} if "http" in KIND else {"as_json": True}
    metadata = await settle(lambda: client.get_model_metadata(MODEL, **as_json))
    seen["shape"] = [int(side) for side in metadata["inputs"][0]["shape"]]
    names = [one["name"] for one in metadata["outputs"]]
    config = await settle(lambda: client.get_model_config(MODEL, **as_json))
    seen["batch"] = config.get("config", config)["max_batch_size"]

    result = await settle(infer(tensor_input(tensor), request_id="r1"))
    seen["tensors"] = {name: result.as_numpy(name).tolist() for name in names}
    if "http" in KIND:
        result = await settle(
            infer(
                tensor_input(tensor, binary_data=False),
                outputs=[triton.InferRequestedOutput(name, binary_data=False) for name in names],
            )
        )
        seen["json tensors"] = {name: result.as_numpy(name).tolist() for name in names}
    result = await settle(infer(tensor_input(images, datatype="BYTES")))
    seen["images"] = result.as_numpy(names[0]).tolist()
    outputs = [triton.InferRequestedOutput(names[0], class_count=2, **BINARY)]
    result = await settle(infer(tensor_input(images, datatype="BYTES"), outputs=outputs, priority=1, timeout=5_000_000))
    seen["classes"] = [[text.decode() for text in row] for row in result.as_numpy(names[0])]

    half = tensor.astype(np.float16)
    seen["wrong name"] = await refused(infer(tensor_input(tensor, name="x")))
    seen["wrong datatype"] = await refused(infer(tensor_input(half, datatype="FP16")))
    seen["wrong shape"] = await refused(infer(tensor_input(np.ascontiguousarray(tensor[:, :, :, ::2]))))
    seen["wrong model"] = await refused(infer(tensor_input(tensor), model="x"))
    seen["no time"] = await refused(infer(tensor_input(tensor), timeout=1))
    stats = await settle(lambda: client.get_inference_statistics(MODEL, **as_json))
    seen["inferences"] = int(stats["model_stats"][0]["inference_count"])
    await settle(client.close)
    print(json.dumps(seen))


asyncio.run(main())
