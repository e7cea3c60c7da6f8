"""Two clouds behind one name: a replica and an S3 server in each. One cloud is killed under load, and comes back."""

import asyncio
import json
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import boto3
import psutil
import pytest

from tests.aws import ENVIRON
from tests.faults.fleet import connecting, free_ports, nginx, wait_listening
from tests.photos import photo
from tests.server.cleanup.test_stores import SeaweedFS
from tests.soak.phase import Findings, Job
from tests.soak.servers import Standing
from tests.soak.servers import run as run_loop

_BUCKET = "photos"
_CLIENTS = 8
_LEAST = 2_000  # images
_WITHIN_S = 60.0
_PICTURES = [photo(seed) for seed in range(64)]


class Cloud:
    """A replica whose store is the S3 server beside it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "objects").mkdir(parents=True)
        self.s3 = SeaweedFS(folder / "objects")
        stack.callback(self.s3.close)
        self.s3.make_bucket(_BUCKET)
        self.replica = stack.enter_context(Standing(
            "--slo", "10s", "--workers", "1", "--cache", "off", "--store", f"s3://{_BUCKET}/kept",
            "--s3-endpoint", self.s3.endpoint, "--store-policy", "required", "--spool-dir", str(folder / "spool"),
        ))  # fmt: skip

    def kill(self) -> None:
        """All of it at once, as by a cut cable and a power cut."""
        supervisor = psutil.Process(self.replica.server.process.pid)
        for process in (*supervisor.children(recursive=True), supervisor):
            process.kill()
        self.s3.close()

    def start_again(self) -> None:
        """As it was, with what was on its disks."""
        self.s3.start()
        self.replica.start_again()

    def ids(self) -> Counter[str]:
        """Of all records in its store."""
        pages = boto3.client("s3", endpoint_url=self.s3.endpoint).get_paginator("list_objects_v2")
        keys = [one["Key"] for page in pages.paginate(Bucket=_BUCKET) for one in page.get("Contents", ())]
        return Counter(Path(key).stem for key in keys if key.endswith(".json"))


class Seen:
    """What clients saw: statuses, the ids of what was called stored, and when the last answer came."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.stored: list[str] = []
        self.answered_at: list[float] = []

    @property
    def longest_gap_s(self) -> float:
        """Between two answers to anybody."""
        pairs = zip(self.answered_at, self.answered_at[1:], strict=False)
        return max((after - before for before, after in pairs), default=0.0)


def run(job: Job) -> Findings:
    found, seen = Findings(), Seen()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        job.say("starting two clouds", 0.0)
        clouds = [Cloud(Path(folder) / name, stack) for name in ("first", "second")]
        (front,) = free_ports(1)
        (Path(folder) / "nginx").mkdir()
        ports = [cloud.replica.port for cloud in clouds]
        stack.enter_context(nginx(Path(folder) / "nginx", front, ports, change=_second_is_backup(ports[1])))
        wait_listening(front)
        run_loop(_under_load(job, front, clouds[0], seen))
        job.say("the first cloud comes back", 0.8)
        clouds[0].start_again()
        kept = _settled(clouds, seen)
    _judge(found, seen, kept)
    return found


def _second_is_backup(port: int):
    """As a name does that leads to the second cloud only while the first is not ready."""
    return lambda text: text.replace(f":{port} max_fails=0;", f":{port} max_fails=0 backup;")


async def _under_load(job: Job, front: int, first: Cloud, seen: Seen) -> None:
    wanted = job.count(_LEAST, 100)
    async with asyncio.TaskGroup() as tasks:
        for number in range(_CLIENTS):
            tasks.create_task(_client(front, number, wanted, seen))
        while len(seen.answered_at) < wanted // 2:
            job.say(f"{len(seen.answered_at):,} answered", 0.8 * len(seen.answered_at) / wanted)
            await asyncio.sleep(0.02)  # between looks
        first.kill()


async def _client(front: int, number: int, wanted: int, seen: Seen) -> None:
    count = 0
    client = await connecting(front)()
    while len(seen.answered_at) < wanted:
        count += 1
        picture = _PICTURES[count % len(_PICTURES)] + b"%d-%d" % (number, count)
        reply = await client.post(picture)
        seen.statuses[reply.status] += 1
        if reply.status == 200:
            seen.answered_at.append(time.monotonic())
            document = json.loads(reply.body)
            if document["stored"]:
                seen.stored.append(document["id"])


def _settled(clouds: list[Cloud], seen: Seen) -> Counter[str]:
    """The ids in both stores, as soon as none is missing, or after a minute."""
    deadline = time.monotonic() + _WITHIN_S
    while True:
        kept = clouds[0].ids() + clouds[1].ids()
        if not set(seen.stored) - kept.keys() or time.monotonic() > deadline:
            return kept
        time.sleep(0.5)


def _judge(found: Findings, seen: Seen, kept: Counter[str]) -> None:
    total = seen.statuses.total()
    found.none(f"images not answered, of {total:,}, while a cloud is killed", total - seen.statuses[200])
    found.figure("longest time without an answer to any client", f"{seen.longest_gap_s:.2f} s")
    found.none(f"images called stored, of {len(seen.stored):,}, in neither store once it is back",
               len(set(seen.stored) - kept.keys()))  # fmt: skip
    found.none("... in both, or twice", sum(kept[one] > 1 for one in seen.stored))
    found.raw |= {"statuses": dict(seen.statuses), "stored": len(seen.stored), "gap_s": seen.longest_gap_s}
