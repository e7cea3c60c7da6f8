"""ResNet-50, and one key that asks for fifty times its share beside ten that ask for little."""

import tempfile
from pathlib import Path

from benchmarks.works import WORKS
from tests.end_to_end.harness import Server, serving
from tests.security.flooding import BEHAVED, CLAIMS, Crowd, Seen, capacity, flood, make_keys
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

_WORK = WORKS["resnet50"]
_CAPACITY_S, _EACH_S = 5.0, 15.0
_TIMES, _BUSY, _LEAST = 50.0, 0.6, 0.95  # of a share: what the flood asks for, what the others do, what they get


def run(job: Job) -> Findings:
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        crowd = make_keys(path)
        flags = ["--keys", str(path), "--workers", "1", *_WORK.serve_flags()]
        with serving(*flags, admin=crowd.admin, measured=True) as server:
            rate, seen = run_loop(server.closing(_measure(job, server, crowd)))
    found.figure("capacity", f"{rate:.1f} images/s")
    for name, one in seen.items():
        found.figure(f"{name}", str(one))
        found.holds(f"{name}: share that the ten got in time", f"{one.share:.3f}", f">= {_LEAST}", one.share >= _LEAST)
        found.at_most(f"{name}: their p99", one.p99_s, _WORK.slo_s, "s", 2)
    found.raw |= {"capacity": rate, "share": {name: one.share for name, one in seen.items()}}
    return found


async def _measure(job: Job, server: Server, crowd: Crowd) -> tuple[float, dict[str, Seen]]:
    image = _WORK.pictures()[0].read_bytes()
    job.say("capacity", 0.0)
    await capacity(server, crowd.behaved[0], image, job.seconds(2.0))  # the first one is slower
    rate = await capacity(server, crowd.behaved[0], image, job.seconds(_CAPACITY_S))
    share = rate / (BEHAVED + 1)
    seen = {}
    for number, (name, claims) in enumerate(CLAIMS.items()):
        job.say(name, (1 + number) / (1 + len(CLAIMS)))
        rates = (_TIMES * share, _BUSY * share)
        seen[name] = await flood(server, crowd, claims, image, rates, job.seconds(_EACH_S), _WORK.slo_s)
    return rate, seen
