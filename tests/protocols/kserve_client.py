"""KServe's own Python client, unmodified, against a server: prints what it saw as JSON. Run by test_kserve.py.

python kserve_client.py rest|grpc ADDRESS MODEL PHOTO TENSOR
"""

import asyncio
import json
import logging
import sys
from pathlib import Path

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.infer_type import RequestedOutput

KIND, ADDRESS, MODEL, PHOTO, TENSOR = sys.argv[1:]
logging.disable(logging.CRITICAL)  # it logs every refusal


class Rest:
    """The client for REST, with the calls of the other one."""

    def __init__(self):
        self._client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
        self._url = f"http://{ADDRESS}"

    async def is_server_live(self):
        return await self._client.is_server_live(self._url)

    async def is_server_ready(self):
        return await self._client.is_server_ready(self._url)

    async def is_model_ready(self, model):
        return await self._client.is_model_ready(self._url, model)

    async def infer(self, request, timeout=None):  # noqa: ASYNC109 - as the other client has it
        headers = {} if timeout is None else {"X-Request-Timeout-Ms": str(round(timeout * 1000))}
        return await self._client.infer(self._url, request, model_name=request.model_name, headers=headers)

    async def metadata(self):
        """It has no call for it."""
        async with httpx.AsyncClient() as client:
            found = (await client.get(f"{self._url}/v2/models/{MODEL}")).json()
        return found["platform"], found["inputs"][0]["shape"]

    async def close(self):
        await self._client.close()


class Grpc(InferenceGRPCClient):
    """The client for gRPC, and its own stub where it has no call."""

    def __init__(self):
        super().__init__(ADDRESS, retries=0)

    async def metadata(self):
        found = await self._client_stub.ModelMetadata(pb.ModelMetadataRequest(name=MODEL))
        return found.platform, list(found.inputs[0].shape)


def request(array, *, name="image", datatype="FP32", model=MODEL, binary=True, **options):
    """Give a request with this one input."""
    given = InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return InferRequest(model, [given], **options)


async def refused(call):
    """Give the code with which a call is refused."""
    try:
        await call
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    except grpc.RpcError as error:
        return error.code().name
    return "it was answered"


async def main():
    """Call everything."""
    client = Rest() if KIND == "rest" else Grpc()
    tensor = np.load(TENSOR)
    photo = Path(PHOTO).read_bytes()  # noqa: ASYNC240 - nobody waits for this loop
    images = np.array([[photo], [photo]], dtype=object)
    platform, shape = await client.metadata()
    seen = {
        "live": await client.is_server_live(),
        "ready": await client.is_server_ready(),
        "model ready": await client.is_model_ready(MODEL),
        "platform": platform,
        "shape": [int(side) for side in shape],
    }
    for name, binary in (("tensors", True), ("plain tensors", False)):
        response = await client.infer(request(tensor, binary=binary, request_id="r1"))
        seen[name] = {one.name: one.as_numpy().tolist() for one in response.outputs}
        seen["id"], seen["model"] = response.id, response.model_name
    names = list(seen["tensors"])
    response = await client.infer(
        request(images, datatype="BYTES", request_outputs=[RequestedOutput(names[0], {"binary_data": True})])
    )
    seen["images"] = {one.name: one.as_numpy().tolist() for one in response.outputs}
    seen["wrong name"] = await refused(client.infer(request(tensor, name="x")))
    seen["wrong datatype"] = await refused(client.infer(request(tensor.astype(np.float16), datatype="FP16")))
    seen["wrong shape"] = await refused(client.infer(request(np.ascontiguousarray(tensor[..., ::2]))))
    seen["wrong model"] = await refused(client.infer(request(tensor, model="x")))
    seen["no image"] = await refused(client.infer(request(np.array([b"no image"], dtype=object), datatype="BYTES")))
    seen["no time"] = await refused(client.infer(request(tensor), timeout=0.001))
    await client.close()
    print(json.dumps(seen))


asyncio.run(main())
