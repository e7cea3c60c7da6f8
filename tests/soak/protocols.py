"""Requests made of the OpenAPI document, damaged gRPC messages, and ResNet-50 overloaded by gRPC."""

import asyncio
import re
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import grpc
import numpy as np

from benchmarks.works import WORKS
from server.web.rpc import inference_pb2 as pb
from server.web.rpc.status import CODES
from tests.end_to_end.harness import Server, serving
from tests.photos import photo
from tests.protocols.conftest import grpc_address
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import run as run_loop

_REQUESTS, _MESSAGES = 50_000, 20_000
_PER_EXAMPLE = 60  # requests that one example per operation comes to, roughly
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_WORK = WORKS["resnet50"]
_FACTORS, _EACH_S, _CAPACITY_S = (2.0, 10.0), 10.0, 5.0
_CLOSED = 16
_GOOD_SHARE, _LATE = 0.9, 0.01
_ALONE = (("cache-control", "no-store"),)  # the same image each time, and each is run
_PATIENT = (*_ALONE, ("x-request-timeout-ms", "20000"))  # of the closed loop that measures capacity
_METHOD = "/inference.GRPCInferenceService/ModelInfer"


def run(job: Job) -> Findings:
    found = Findings()
    with serving("--workers", "1", "--grpc-port", "0", "--slo", "5s") as server:
        job.say("requests made of the document", 0.0)
        _generated(job, server, found)
        job.say("damaged messages", 0.5)
        run_loop(_fuzzed(job, server, found))
        found.none("web processes or workers lost", int(run_loop(_restarts(server))))
    with serving(*_WORK.serve_flags(), "--workers", "2", "--grpc-port", "0", "--cache", "off", measured=True) as server:
        run_loop(_overloaded(job, server, found))
    return found


def _generated(job: Job, server: Server, found: Findings) -> None:
    examples = max(1, job.count(_REQUESTS) // _PER_EXAMPLE)
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"http://{server.host}:{server.port}/openapi.json"]
    options = ["--checks", _CHECKS, "--max-examples", str(examples), "--seed", str(job.seed)]
    options += ["--phases", "coverage,fuzzing", "--suppress-health-check", "all", "--generation-database", "none"]
    options += ["--exclude-path", "/debug/profile"]  # up to a minute each
    done = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    made = re.search(r"(\d+) generated", done.stdout)
    found.figure("requests made of the OpenAPI document", f"{int(made[1]) if made else 0:,}")
    found.holds("those that broke it", "none" if not done.returncode else "some", "none", not done.returncode)
    if done.returncode:
        found.notes.append(done.stdout[-4000:])


async def _fuzzed(job: Job, server: Server, found: Findings) -> None:
    request = pb.ModelInferRequest(model_name="colourfulness")
    image = request.inputs.add(name="image", datatype="BYTES", shape=[1])
    image.contents.bytes_contents.append(photo(1))
    good, rng, codes = request.SerializeToString(), np.random.default_rng(job.seed), Counter[grpc.StatusCode]()
    count = job.count(_MESSAGES, 100)
    async with grpc.aio.insecure_channel(grpc_address(server)) as channel:
        method = channel.unary_unary(_METHOD)
        for number in range(0, count, 100):
            job.say("damaged messages", 0.5 + 0.2 * number / count)
            codes.update(await asyncio.gather(*(method(_damaged(good, rng), timeout=20).code() for _ in range(100))))
    found.figure(f"ends of {codes.total():,} damaged messages", ", ".join(f"{c.name} {n:,}" for c, n in codes.items()))
    undocumented = sum(n for code, n in codes.items() if code not in CODES or code is grpc.StatusCode.INTERNAL)
    found.none("undocumented ends", undocumented)
    found.raw["fuzz"] = {code.name: n for code, n in codes.items()}


def _damaged(good: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 6))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    return bytes(data[: int(rng.integers(len(data)))] if rng.random() < 0.3 else data)


async def _overloaded(job: Job, server: Server, found: Findings) -> None:
    """Closed loop for capacity, then a steady stream that does not wait for answers."""
    request = pb.ModelInferRequest(model_name=_model(server))
    request.inputs.add(name="image", datatype="BYTES", shape=[1]).contents.bytes_contents.append(
        _WORK.pictures()[0].read_bytes()
    )
    message = request.SerializeToString()
    async with grpc.aio.insecure_channel(grpc_address(server)) as channel:
        method = channel.unary_unary(_METHOD)
        job.say("gRPC: capacity", 0.7)
        capacity = await _capacity(method, message, job.seconds(_CAPACITY_S))
        found.figure("gRPC: capacity", f"{capacity:.1f} images/s")
        for number, factor in enumerate(_FACTORS):
            job.say(f"gRPC: {factor:g}x", 0.8 + 0.1 * number)
            _judge(found, factor, capacity, await _stream(method, message, capacity * factor, job.seconds(_EACH_S)))


def _judge(found: Findings, factor: float, capacity: float, raw: dict[str, Any]) -> None:
    share = raw["goodput"] / capacity
    found.holds(f"gRPC at {factor:g}x: goodput of capacity", f"{share:.2f}", f">= {_GOOD_SHARE}", share >= _GOOD_SHARE)
    late = raw["late"] / max(1, raw["admitted"])
    found.at_most(f"gRPC at {factor:g}x: admitted but late", late * 100, _LATE * 100, "%", 2)
    found.figure(f"gRPC at {factor:g}x: ends", ", ".join(f"{name} {n:,}" for name, n in raw["ends"].items()))
    found.raw[f"grpc {factor:g}x"] = raw


async def _capacity(method: Any, message: bytes, seconds: float) -> float:
    async def client() -> int:
        done = 0
        while time.monotonic() < end:
            await method(message, timeout=20, metadata=_PATIENT)
            done += time.monotonic() < end
        return done

    end = time.monotonic() + 1.0  # the first batches are slower
    await asyncio.gather(*(client() for _ in range(_CLOSED)))
    end = time.monotonic() + seconds
    return sum(await asyncio.gather(*(client() for _ in range(_CLOSED)))) / seconds


async def _stream(method: Any, message: bytes, rate: float, seconds: float) -> dict[str, Any]:
    """Calls at a rate, each with the promise as its deadline; the first second fills the queue and does not count."""
    slo_s = _WORK.slo_s
    ends, times = Counter[str](), list[float]()

    async def one(counts: bool) -> None:
        began = time.monotonic()
        try:
            await method(message, timeout=slo_s + 0.5, metadata=_ALONE)
            end = "OK"
        except grpc.aio.AioRpcError as error:
            end = error.code().name
        if counts:
            ends[end] += 1
            if end == "OK":
                times.append(time.monotonic() - began)

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(rate * (seconds + 1.0))):
            if (wait := began + number / rate - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            tasks.create_task(one(number >= rate))
    good = sum(one <= slo_s for one in times)
    admitted = len(times) + ends["DEADLINE_EXCEEDED"]
    return {
        "goodput": good / seconds, "admitted": admitted, "late": admitted - good, "ends": dict(ends),
        "p99_s": quantile(times, 0.99),
    }  # fmt: skip


async def _restarts(server: Server) -> float:
    now = await server.metrics()
    return sum(value for name, value in now.items() if name.startswith("tureen_worker_restarts_total"))


def _model(server: Server) -> str:
    found = re.search(r"model +(\S+)", server.block)
    assert found
    return found[1].partition("/")[0]
