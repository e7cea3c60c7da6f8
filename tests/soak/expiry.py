"""Deadlines that pass while every worker is stopped: the answer comes at the deadline, and the work never begins."""

import asyncio
import random
import tempfile
from collections import Counter
from pathlib import Path

from tests.end_to_end.harness import Server, serving
from tests.faults.fleet import connecting
from tests.history.client import Recorder
from tests.history.operations import History, Operation
from tests.photos import photo
from tests.soak.phase import Findings, Job, quantile
from tests.soak.servers import in_workers, rested
from tests.soak.servers import run as run_loop

_ROUNDS, _EACH = 6, 100
_TIMEOUTS_MS = (600, 1400)
_APART_S = 0.005  # sent, so that what is measured is no burst's own queue
_WARM = 40  # images before, so that the pace is known
_GOAL_MS = 20.0
_MARK = b"#soak"

_WITNESS = f"""
def noted(data, *args):
    tail = bytes(data[-{len(_MARK) + 8}:])
    if tail.startswith({_MARK!r}):
        line = b'%s %.6f\\n' % (tail[{len(_MARK)}:], time.monotonic())
        file = os.open(os.environ['SOAK_STARTS'], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)
    return prepare(data, *args)
tensor.prepare = noted
"""


def run(job: Job) -> Findings:
    found, history = Findings(), History()
    with tempfile.TemporaryDirectory() as folder:
        starts = Path(folder) / "starts"
        environ = in_workers(Path(folder), _WITNESS) | {"SOAK_STARTS": str(starts)}
        with serving("--workers", "2", "--slo", "60s", environ=environ) as server:
            workers = {worker.pid for worker in server.workers}
            run_loop(_rounds(job, server, history))
            died = workers - {worker.pid for worker in server.workers}
        begun = _begun(starts)
    _judge(found, history, begun)
    found.none("workers that were replaced", len(died))
    return found


def _judge(found: Findings, history: History, begun: dict[int, float]) -> None:
    doomed = [one for one in history.operations if one.kind == "doomed"]
    answers = Counter(ending.status for one in doomed for ending in one.endings)
    after_ms = [
        (ending.at - one.due) * 1000
        for one in doomed
        for ending in one.endings
        if ending.status == 504 and one.due is not None
    ]
    late = [one.id for one in doomed if one.due is not None and begun.get(one.id, 0.0) > one.due]
    seen = sum(one.id in begun for one in history.operations if one.kind == "good")
    found.figure("by status", ", ".join(f"{status}: {count}" for status, count in sorted(answers.items())))
    found.none(
        "neither expired nor refused", sum(count for status, count in answers.items() if status not in (503, 504))
    )
    found.figure("answer after its expiry, p50", f"{quantile(after_ms, 0.5):.1f} ms")
    found.at_most("answer after its expiry, p99", quantile(after_ms, 0.99), _GOAL_MS, "ms")
    found.none("begun after their deadline", len(late))
    found.holds("the witness in the workers sees images begin", f"{seen}", f"{_WARM}", seen == _WARM)
    found.raw |= {"answers": dict(answers), "after_ms": after_ms, "begun_late": late}


async def _rounds(job: Job, server: Server, history: History) -> None:
    rounds = job.count(_ROUNDS)
    await asyncio.gather(*(_post(server, history, n, "good", None) for n in range(_WARM)))
    for number in range(rounds):
        job.say(f"round {number + 1} of {rounds}", number / rounds)
        for worker in server.workers:
            worker.suspend()
        try:
            random_ = random.Random(f"{job.seed}-{number}")
            timeouts = [random_.randint(*_TIMEOUTS_MS) for _ in range(_EACH)]
            await asyncio.gather(*(_post(server, history, n, "doomed", ms) for n, ms in enumerate(timeouts)))
        finally:
            for worker in server.workers:
                worker.resume()
        await rested(server)


async def _post(server: Server, history: History, seed: int, kind: str, timeout_ms: int | None) -> Operation:
    """An image that carries its operation's number behind its end."""
    recorder = Recorder(history, connecting(server.port), slo_s=60)
    await recorder.open()
    await asyncio.sleep(seed * _APART_S)  # its place in the row
    body = photo(seed) + _MARK + b"%08d" % len(history.operations)
    operation = await recorder.post(-1, body, kind, timeout_ms=timeout_ms)
    await recorder.finish()
    return operation


def _begun(starts: Path) -> dict[int, float]:
    """When each operation's image was first touched by a worker, on the same clock as ours."""
    begun: dict[int, float] = {}
    for line in starts.read_text().splitlines() if starts.exists() else ():
        number, when = line.split()
        begun.setdefault(int(number), float(when))
    return begun
