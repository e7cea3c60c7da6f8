"""What a request costs by each protocol: `python -m benchmarks.protocols [--rounds 5] [--requests 300]`.

One server of the demo model is asked for the same image, and the same tensor, by upload, by the Open Inference Protocol
over REST, and by gRPC, in turns of a few hundred requests. CPU is that of the web process alone, in ms per request;
nothing is cached or shared.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import grpc
import grpc.aio
import msgspec
import numpy as np
import psutil

from benchmarks.machine import cpu_s
from benchmarks.served import Served, free_port, serving, tureen
from server.commands.bench.photos import photo
from server.web.rpc import inference_pb2 as pb

MODEL = "colourfulness"
SHAPE = (1, 3, 224, 224)
_CONNECTIONS = 4
INFER = f"/v2/models/{MODEL}/infer"
_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_ALONE = "cache-control: no-store\r\n"

Ask = Callable[[], Awaitable[None]]
"""Sends one request and waits for its answer."""


class Turn(NamedTuple):
    """Some hundred requests of one kind."""

    cpu_ms: float
    rate: float
    seconds: list[float]


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.protocols", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=300, help="per turn")
    given = parser.parse_args()
    port = free_port()
    flags = ["--workers", "1", "--threads", "1", "--grpc-port", str(port), "--slo", "30s", "--cache", "off"]
    with serving(tureen(flags)) as served:
        turns = asyncio.run(_measured(served, port, given.rounds, given.requests))
    print("| request | CPU of the web process, ms | paired with the first | requests per second | p50, ms | p99, ms |")
    print("|---|---:|---:|---:|---:|---:|")
    first = next(iter(turns.values()))
    for name, found in turns.items():
        cpu = statistics.median(turn.cpu_ms for turn in found)
        pairs = statistics.median(own.cpu_ms / other.cpu_ms for own, other in zip(found, first, strict=True))
        times = sorted(second * 1e3 for turn in found for second in turn.seconds)
        rate = statistics.median(turn.rate for turn in found)
        p50, p99 = times[len(times) // 2], times[int(0.99 * len(times))]
        print(f"| {name} | {cpu:.2f} | {pairs:.2f} | {rate:.0f} | {p50:.1f} | {p99:.1f} |")


async def _measured(served: Served, port: int, rounds: int, requests: int) -> dict[str, list[Turn]]:
    image, address = photo(320, 240, 0), (served.host, served.port)
    tensor = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
    web = [pid for pid in served.pids() if "server.web.process" in psutil.Process(pid).cmdline()]
    kinds: dict[str, Callable[[], Any]] = {
        "upload, 15 kB JPEG": lambda: Http(address, "/v1/images", image, ""),
        "the same by REST": lambda: Http(address, INFER, *binary("BYTES", [1], element(image))),
        "the same by gRPC": lambda: Grpc(port, message("BYTES", [1], element(image))),
        "tensor of 0.6 MB by REST": lambda: Http(address, INFER, *binary("FP32", SHAPE, tensor.tobytes())),
        "the same by gRPC ": lambda: Grpc(port, message("FP32", SHAPE, tensor.tobytes())),
    }
    found: dict[str, list[Turn]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, connect in kinds.items():
            one = await turn(connect, web, requests)
            if number:  # the first one warms up
                found[name].append(one)
    return found


async def turn(connect: Callable[[], Any], web: list[int], requests: int) -> Turn:
    left, seconds = iter(range(requests)), list[float]()

    async def client() -> None:
        async with connect() as ask:
            for _ in left:
                began = time.perf_counter()
                await ask()
                seconds.append(time.perf_counter() - began)

    before, began = cpu_s(web), time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(_CONNECTIONS):
            tasks.create_task(client())
    took = time.monotonic() - began
    return Turn((cpu_s(web) - before) / requests * 1e3, requests / took, seconds)


class Http:
    """One connection, for one request again and again."""

    def __init__(self, address: tuple[str, int], path: str, body: bytes, headers: str) -> None:
        self._address = address
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\n{_ALONE}{headers}content-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body

    async def __aenter__(self) -> Ask:
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        return self._ask

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def _ask(self) -> None:
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await self._reader.readexactly(int(head.lower().partition(b"\ncontent-length: ")[2].split(b"\r\n")[0]))


class Grpc:
    """One channel, for one call again and again."""

    def __init__(self, port: int, data: bytes) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection of its own, as HTTP clients have
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options)
        self._message = data

    async def __aenter__(self) -> Ask:
        method = self._channel.unary_unary(_METHOD)

        async def ask() -> None:
            await method(self._message, timeout=30, metadata=(("cache-control", "no-store"),))

        return ask

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()


def binary(datatype: str, shape: Any, data: bytes) -> tuple[bytes, str]:
    """Body and headers of a request with one binary input."""
    parameters = {"binary_data_size": len(data)}
    document = {
        "inputs": [{"name": "image", "datatype": datatype, "shape": shape, "parameters": parameters}],
        "parameters": {"binary_data_output": True},
    }
    head = msgspec.json.encode(document)
    return head + data, f"inference-header-content-length: {len(head)}\r\n"


def element(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def message(datatype: str, shape: Any, data: bytes) -> bytes:
    request = pb.ModelInferRequest(model_name=MODEL, raw_input_contents=[data])
    request.inputs.add(name="image", datatype=datatype, shape=shape)
    encoded: bytes = request.SerializeToString()
    return encoded


if __name__ == "__main__":
    main()
