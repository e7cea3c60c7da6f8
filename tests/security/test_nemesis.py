"""Random faults while keys are checked: every answer is the right client's, and no bad key gets in meanwhile."""

import asyncio
import random
import signal
from collections import Counter

import pytest

from server.access import admin as key_file
from tests.end_to_end.harness import serving
from tests.history.load import demo_pictures
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

SEED = 18
FAULTS = ("kill a worker", "stop a worker", "kill web", "rewrite the keys", "break the keys")
CLIENTS, BETWEEN = 6, 8  # images of each client between faults
GONE = (OSError, EOFError)


class World:
    """A server with keys, what its clients saw, and the faults."""

    def __init__(self, server, path, secrets):
        self.server = server
        self.path = path
        self.secrets = secrets
        self.pictures = demo_pictures()
        self.statuses = {name: Counter() for name in secrets}
        self.wrong = []
        self.answered = asyncio.Event()

    async def client(self, number, stop):
        """Send pictures with every key in turn, on a connection per picture, until told to stop."""
        random_ = random.Random(f"{SEED}-{number}")
        while not stop.is_set():
            name = random_.choice(list(self.secrets))
            picture = random_.randrange(len(self.pictures.bodies))
            try:
                client = await self.server.connect()
                reply = await client.post(self.pictures.bodies[picture], **bearer(self.secrets[name]))
                await client.close()
            except GONE:
                self.statuses[name]["lost"] += 1
                await asyncio.sleep(0.2)  # as clients do
                continue
            self.statuses[name][reply.status] += 1
            self.answered.set()
            if reply.status == 200 and not self.pictures.agrees(picture, reply.json()):
                self.wrong.append((name, picture))

    async def more(self, count):
        """Wait until the good key has so many more answers."""
        enough = self.statuses["good"][200] + count
        while self.statuses["good"][200] < enough:
            self.answered.clear()
            await self.answered.wait()

    async def fault(self, name):
        """Do it; what is stopped goes on again."""
        match name:
            case "kill a worker":
                self.server.workers[0].send_signal(signal.SIGKILL)
            case "stop a worker":
                worker = self.server.workers[-1]
                worker.suspend()
                await self.more(2)
                worker.resume()
            case "kill web":
                self.server.web.kill()
            case "rewrite the keys":
                add_key(self.path, "late")
                key_file.revoke(self.path, "revoked")
            case "break the keys":
                whole = self.path.read_text()
                self.path.write_text(whole[: len(whole) // 2])
                while "keys_not_reloaded" not in self.server.log:
                    await self.more(1)
                await self.more(2)
                self.path.write_text(whole)


@pytest.mark.parametrize(
    "faults",
    [("kill a worker", "break the keys", "rewrite the keys"), pytest.param(FAULTS, marks=pytest.mark.long)],
    ids=["few", "all"],
)
def test_no_fault_lets_anybody_in_or_mixes_answers(tmp_path, faults):
    """Workers and the web process die, the key file changes and breaks: good keys are served, others never."""
    path = tmp_path / "keys.json"
    admin = add_key(path, "admin", "admin")
    secrets = {
        "good": add_key(path, "good"),
        "revoked": add_key(path, "revoked"),
        "reader": add_key(path, "r", "records"),
    }
    secrets |= {"forged": "tureen_" + "A" * 43, "token": "a.b.c"}
    faults = random.Random(SEED).sample(faults, len(faults))
    with serving("--keys", str(path), "--workers", "2", "--slo", "20s", admin=admin) as server:
        world = World(server, path, secrets)

        async def work():
            stop = asyncio.Event()
            clients = [asyncio.create_task(world.client(number, stop)) for number in range(CLIENTS)]
            for name in faults:
                await world.more(BETWEEN)
                await world.fault(name)
            await world.more(BETWEEN)
            while (await (await server.connect()).request("GET", "/", **bearer(secrets["revoked"]))).status != 401:
                pass
            await world.more(BETWEEN)  # by then what was let in before has its answer
            before = world.statuses["revoked"][200]
            await world.more(BETWEEN)
            stop.set()
            await asyncio.gather(*clients)
            return world.statuses["revoked"][200] - before

        since_revoked = server.run(work())

    assert [] == world.wrong
    assert {200, 503, "lost"} >= set(world.statuses["good"])
    assert {401, 503, "lost"} >= set(world.statuses["forged"]) | set(world.statuses["token"])
    assert {403, 503, "lost"} >= set(world.statuses["reader"])
    assert 0 == since_revoked
