"""The gRPC front, by gRPC's own client and this server's messages: on the wire, over real sockets."""

import asyncio
import json

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from server.web.rpc import inference_pb2 as pb
from server.web.rpc.status import CODES
from tests.end_to_end.harness import serving
from tests.models import dense
from tests.photos import photo
from tests.protocols.conftest import grpc_address
from tests.protocols.test_rest import expected, infer
from tests.security.keys import add_key

pytestmark = pytest.mark.timeout(120)

SERVICE = "/inference.GRPCInferenceService/"
RNG = np.random.default_rng(11)


class Client:
    """One channel to a server's gRPC port."""

    def __init__(self, address, credentials=None):
        options = [("grpc.max_receive_message_length", -1)]
        self.channel = (
            grpc.aio.secure_channel(address, credentials, options)
            if credentials
            else grpc.aio.insecure_channel(address, options)
        )

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.channel.close()

    def call(self, name, request, **options):
        """Start a call; awaiting it gives the response."""
        answer = getattr(pb, type(request).__name__.replace("Request", "Response"))
        method = self.channel.unary_unary(
            SERVICE + name, lambda message: message.SerializeToString(), answer.FromString
        )
        return method(request, timeout=options.pop("timeout", 20), **options)

    def raw(self, data, name="ModelInfer", **options):
        """Start a call with these bytes as its message."""
        return self.channel.unary_unary(SERVICE + name)(data, timeout=20, **options)


def run(address, work, credentials=None):
    """Give what `work` gives with a client."""

    async def inside():
        async with Client(address, credentials) as client:
            return await work(client)

    return asyncio.run(inside())


def request_for(tensor, model="several", *, raw=True, **parameters):
    """Give an inference request for a tensor."""
    request = pb.ModelInferRequest(model_name=model, id="g1")
    given = request.inputs.add(name="image", datatype="FP32", shape=tensor.shape)
    if raw:
        request.raw_input_contents.append(tensor.tobytes())
    else:
        given.contents.fp32_contents.extend(tensor.ravel().tolist())
    for name, value in parameters.items():
        request.parameters[name].int64_param = value
    return request


def of_images(*images, model="slow", **parameters):
    """Give an inference request for encoded images."""
    request = pb.ModelInferRequest(model_name=model)
    given = request.inputs.add(name="image", datatype="BYTES", shape=[len(images)])
    given.contents.bytes_contents.extend(images)
    for name, value in parameters.items():
        request.parameters[name].int64_param = value
    return request


async def failure(call):
    """Give the error that a call ends with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def tensors(response):
    """Give the outputs of a response by name."""
    dtypes = {"FP32": np.float32, "INT64": np.int64}
    return {
        output.name: np.frombuffer(raw, dtypes[output.datatype]).reshape(tuple(output.shape))
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True)
    }


# ---- Answers ----


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("count", [1, 3])
def test_tensors_are_answered_as_the_model_does(several, raw, count):
    """And as REST does, within rounding."""
    server, path = several
    tensor = RNG.random((count, 3, 24, 40), dtype=np.float32)
    body = {"inputs": [{"name": "image", "datatype": "FP32", "shape": list(tensor.shape), "data": tensor.tolist()}]}

    response = run(grpc_address(server), lambda client: client.call("ModelInfer", request_for(tensor, raw=raw)))

    by_rest = {one["name"]: one["data"] for one in infer(server, body).json()["outputs"]}
    assert "g1" == response.id
    for name, values in expected(path, tensor).items():
        assert np.allclose(tensors(response)[name], values, atol=1e-4)
        assert np.allclose(np.ravel(by_rest[name]), values.ravel(), atol=1e-4)


def test_what_is_asked_for_is_answered(several):
    """Only these outputs, in this order."""
    server, _ = several
    request = request_for(RNG.random((1, 3, 24, 40), dtype=np.float32))
    request.outputs.add(name="best")
    request.outputs.add(name="means")

    response = run(grpc_address(server), lambda client: client.call("ModelInfer", request))

    assert ["best", "means"] == [output.name for output in response.outputs]


def test_health_is_told_and_watched(several):
    """As gRPC's health protocol has it."""

    async def work(client):
        stub = health_pb2_grpc.HealthStub(client.channel)
        check = await stub.Check(health_pb2.HealthCheckRequest(service="inference.GRPCInferenceService"))
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        first = await watch.read()
        watch.cancel()
        unknown = await failure(stub.Check(health_pb2.HealthCheckRequest(service="x")))
        return check.status, first.status, unknown.code()

    assert (1, 1, grpc.StatusCode.NOT_FOUND) == run(grpc_address(several[0]), work)


def test_services_are_reflected(several):
    """Tools that know no .proto find the service."""

    async def work(client):
        stub = reflection_pb2_grpc.ServerReflectionStub(client.channel)
        call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        async for response in call:
            return {service.name for service in response.list_services_response.service}

    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= run(grpc_address(several[0]), work)


# ---- What is refused ----


def test_no_mutated_message_crashes_it(several):
    """Cut, flipped and spliced messages end with a documented status, and the next call is answered."""
    server, _ = several
    good = request_for(RNG.random((1, 3, 24, 40), dtype=np.float32)).SerializeToString()
    head, rng = len(good) - 11520, np.random.default_rng(1)

    def mutated():
        data = bytearray(good)
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(head))] = int(rng.integers(256))
        return bytes(data[: int(rng.integers(len(data)))] if rng.random() < 0.3 else data)

    async def work(client):
        calls = [client.raw(mutated()) for _ in range(300)]
        codes = {code for code in [await call.code() for call in calls]}
        await client.raw(good)
        return codes

    codes = run(grpc_address(server), work)

    assert codes <= CODES - {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED}
    assert grpc.StatusCode.INVALID_ARGUMENT in codes


def test_a_message_past_the_limit_is_refused(several):
    """As large as four images of the largest size."""
    error = run(grpc_address(several[0]), lambda client: failure(client.raw(bytes(80_000_001))))

    assert grpc.StatusCode.RESOURCE_EXHAUSTED == error.code()


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A server with a slow model and a short queue, that knows keys. Gives it, and what a client shows."""
    folder = tmp_path_factory.mktemp("busy")
    path = dense(folder / "slow.onnx", size=32, hidden=(4096, 4096))
    key = add_key(folder / "keys.json", "client")
    admin = add_key(folder / "keys.json", "admin", "admin")
    flags = [
        "--keys",
        str(folder / "keys.json"),
        "--workers",
        "1",
        "--max-batch",
        "1",
        "--max-queue",
        "8",
        "--access-log",
    ]
    with serving(str(path), *flags, "--grpc-port", "0", "--slo", "30s", "--cache", "off", admin=admin) as server:
        yield server, key


def bearer(key):
    """Give the metadata that shows a key."""
    return (("authorization", f"Bearer {key}"),)


def test_a_stranger_is_refused_before_its_message(busy):
    """Without a key, whatever it sends."""
    error = run(grpc_address(busy[0]), lambda client: failure(client.raw(b"\xff")))

    assert (grpc.StatusCode.UNAUTHENTICATED, "unauthenticated") == (error.code(), trailer(error, "tureen-code"))


def test_a_key_without_the_scope_is_refused(busy, tmp_path_factory):
    """As over HTTP."""
    server, _ = busy
    wrong = run(grpc_address(server), lambda client: failure(client.raw(b"", metadata=bearer("x"))))

    assert grpc.StatusCode.UNAUTHENTICATED == wrong.code()


def test_a_full_queue_refuses_with_a_time_to_come_back(busy):
    """Calls and uploads share one queue: some of each are answered, the others told when to try again."""
    server, key = busy

    async def work(client):
        posts = [posted(number) for number in range(40)]
        calls = [
            outcome(client.call("ModelInfer", of_images(photo(number)), metadata=bearer(key))) for number in range(40)
        ]
        return await asyncio.gather(*calls), await asyncio.gather(*posts)

    async def posted(number):
        connection = await server.connect()
        return await connection.post(photo(100 + number), authorization=f"Bearer {key}")

    calls, posts = run(grpc_address(server), lambda client: server.closing(work(client)))

    refused = [error for error in calls if error]
    assert {grpc.StatusCode.UNAVAILABLE} == {error.code() for error in refused}
    assert len(refused) < len(calls)
    assert {200, 503} == {post.status for post in posts}
    for error in refused:
        assert 1 <= int(trailer(error, "retry-after"))
        assert 0 <= int(trailer(error, "grpc-retry-pushback-ms"))


async def outcome(call):
    """Give the error of a call; None if it was answered."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error
    return None


@pytest.mark.parametrize("urgent", ["grpc", "rest"])
def test_calls_and_uploads_wait_in_one_order(busy, urgent):
    """Of those that wait, those with the nearer deadline are answered first, whichever protocol they came by."""
    server, key = busy
    within_s = {name: 20 if name == urgent else 40 for name in ("grpc", "rest")}

    async def posted(number):
        connection = await server.connect()
        headers = {"authorization": f"Bearer {key}", "x-request-timeout-ms": str(within_s["rest"] * 1000)}
        assert 200 == (await connection.post(photo(200 + number), **headers)).status

    async def called(client, number):
        request = of_images(photo(300 + number))
        await client.call("ModelInfer", request, timeout=within_s["grpc"], metadata=bearer(key))

    async def waiting(count):
        while (now := await server.metrics())["tureen_queue_images"] + now["tureen_running_images"] < count:
            pass
        return int(now["tureen_running_images"])

    async def work(client):
        worker = server.workers[0]
        worker.suspend()
        begun = [asyncio.create_task(posted(90 + number)) for number in range(2)]  # with the worker: in no order
        await waiting(2)
        for count, kind in enumerate(("rest", "grpc") if urgent == "grpc" else ("grpc", "rest")):
            begun += [asyncio.create_task(posted(n) if kind == "rest" else called(client, n)) for n in range(4)]
            handed_over = await waiting(2 + 4 * (count + 1))
        worker.resume()
        await asyncio.gather(*begun)
        while len(ended := answered(server)[before:]) < len(begun):
            pass  # the log is written beside the answers
        return ended[handed_over:]  # the worker has had the others: they wait no more

    before = len(answered(server))
    waited = run(grpc_address(server), lambda client: server.closing(work(client)))

    assert waited[:4].count(urgent) >= 3, waited  # neighbours may end in either order


def answered(server):
    """Give the protocols of all answers so far, in the order of the access log."""
    kinds = {"images": "rest", "grpc_infer": "grpc"}
    lines = [json.loads(line) for line in server.log.splitlines() if '"outcome":"ok"' in line.replace(" ", "")]
    return [kinds[line["resource"]] for line in lines if line.get("resource") in kinds]


def test_a_cancelled_call_leaves_the_queue(busy):
    """Its image is taken back, and those behind it are served."""
    server, key = busy

    async def work(client):
        before = await cancelled(server)
        calls = [client.call("ModelInfer", of_images(photo(number)), metadata=bearer(key)) for number in range(8)]
        while not (await server.metrics())["tureen_queue_images"]:
            pass
        for call in calls:
            call.cancel()
        while await cancelled(server) == before:
            pass
        await client.call("ModelInfer", of_images(photo(99)), metadata=bearer(key))

    run(grpc_address(server), work)


async def cancelled(server):
    """Give how many images were taken back."""
    metrics = await server.metrics()
    return sum(value for name, value in metrics.items() if name.startswith("tureen_cancelled_images_total"))


def test_a_clients_deadline_is_a_deadline(busy):
    """What cannot be in time is refused or expires; nothing is answered later."""
    server, key = busy

    async def work(client):
        requests = [of_images(photo(number)) for number in range(30)]
        return await asyncio.gather(
            *(outcome(client.call("ModelInfer", one, timeout=0.05, metadata=bearer(key))) for one in requests)
        )

    codes = {error.code() for error in run(grpc_address(server), work) if error}

    assert codes
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


def test_calls_are_counted(busy):
    """By outcome, apart from those of REST."""
    server, key = busy
    run(grpc_address(server), lambda client: client.call("ModelInfer", of_images(photo(1)), metadata=bearer(key)))

    assert 0 < server.run(server.metrics())['tureen_requests_total{outcome="ok",resource="grpc_infer"}']


def trailer(error, name):
    """Give a trailer of a call that failed."""
    return dict(error.trailing_metadata())[name]
