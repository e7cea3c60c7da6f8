"""Changes of version under load, and whether anybody could tell: for the suite, and for the soak."""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.photos import photo

ACTIONS = ("promote", "promote", "rollback", "load", "unload")
_IDLE_S = 0.002  # between two requests of a client: the rate, nothing waits for it


@dataclass
class Outcome:
    """`wrong`: answers by a version that answered at no moment of their request."""

    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    refused_changes: list[bytes] = field(default_factory=list)
    wrong: int = 0


async def change_under_load(connect, name: str, versions, count: int, seed: int, clients: int = 2) -> Outcome:
    """Change the version of a model so many times at random, while clients send images. The first of `versions` is
    served at the start. `connect` gives a client."""
    found, changer = Outcome(), _Changer(name, versions, random.Random(seed))
    done, answers = asyncio.Event(), []

    async def send(number):
        client = await connect()
        while not done.is_set():
            begun = time.monotonic()
            reply = await client.request("POST", f"/v1/models/{name}/images", photo(number))
            ended = time.monotonic()
            found.statuses[reply.status] += 1
            if reply.status == 200:
                answers.append((begun, ended, reply.json()["model"]["version"]))
            await asyncio.sleep(_IDLE_S)

    sending = [asyncio.ensure_future(send(number)) for number in range(clients)]
    client = await connect()
    for _ in range(count):
        await changer.change(client, found)
    done.set()
    await asyncio.gather(*sending)
    found.versions = Counter(version for _, _, version in answers)
    found.wrong = sum(not changer.served(*answer) for answer in answers)
    return found


class _Changer:
    """Knows when each version may have answered: from the moment a change to it was sent, until the next was done."""

    def __init__(self, name, versions, random_):
        self._name = name
        self._versions = versions
        self._random = random_
        self._spans = [[versions[0], 0.0, float("inf")]]

    async def change(self, client, found):
        action, version = self._random.choice(ACTIONS), self._random.choice(self._versions)
        path = "rollback" if action == "rollback" else f"versions/{version}/{action}"
        sent = time.monotonic()
        reply = await client.request("POST", f"/v1/models/{self._name}/{path}")
        document = reply.json()
        if reply.status == 200:
            found.changes[action] += 1
            self._note(document["default"], sent)
        elif document["code"] == "state_conflict":
            found.changes["conflict"] += 1
        else:
            found.refused_changes.append(reply.body)

    def _note(self, version, sent):
        if version != self._spans[-1][0]:
            self._spans[-1][2] = time.monotonic()
            self._spans.append([version, sent, float("inf")])

    def served(self, begun, ended, version):
        """Whether this version may have answered at some moment between."""
        return any(one == version and since <= ended and until >= begun for one, since, until in self._spans)
