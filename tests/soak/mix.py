"""The clients of the world: most of them good, some in a hurry, some broken, some malicious or on a bad network."""

import random

from tests.history.client import Recorder
from tests.history.operations import Pictures
from tests.preprocess.mutations import good_files, mutations

DAMAGED = -1  # in the place of a picture's number
_MUTANTS = 2000  # different ones; then they come again
_SHARES = {"good": 10, "tight": 2, "urgent": 2, "damaged": 3, "cut short": 1, "leaving": 2, "slow": 1}


class Mix:
    """A `Turn` of `tests.history.load`: another kind of client each time, as its random source says."""

    def __init__(self, pictures: Pictures, seed: int) -> None:
        self._pictures = pictures
        source = mutations(good_files(), seed)
        self._mutants = [next(source)[1] for _ in range(_MUTANTS)]

    async def __call__(self, recorder: Recorder, random_: random.Random) -> None:
        picture = random_.randrange(len(self._pictures.bodies))
        body = self._pictures.bodies[picture]
        match random_.choices(list(_SHARES), list(_SHARES.values()))[0]:
            case "tight":
                await recorder.post(picture, body, "tight", timeout_ms=random_.randint(1, 200))
            case "urgent":
                await recorder.post(picture, body, "urgent", priority=f"u={random_.randint(0, 7)}")
            case "damaged":
                await recorder.post(DAMAGED, random_.choice(self._mutants), "damaged")
            case "cut short":
                await recorder.leave(picture, body, random_.random(), random_.uniform(0, 0.05))
            case "leaving":
                await recorder.leave(picture, body, 1, random_.uniform(0, 0.05))
            case "slow":
                await recorder.trickle(picture, body, random_.randint(2, 5), random_.uniform(0.01, 0.1))
            case _:
                await recorder.post(picture, body)
