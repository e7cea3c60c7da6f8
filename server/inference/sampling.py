"""Live batches, sampled: now and then one image of a batch is run again alone, and its answer must be the same.

Warming up compares a few pictures; this compares what clients send. The cost is bounded by a share of the model's time.
"""

import time
from collections.abc import Callable, Sequence

from server.contract.wire import Dependent, frame
from server.inference.independence import difference
from server.inference.onnx.session import Session
from server.inference.stages import Ended, Filled
from server.models.output_spec import Output

SHARE = 0.005  # of the time that the model runs
_LOOKS, _ENOUGH = 5, 2  # of five batches in a row, two that differ: one alone may be two candidates of equal rank

Send = Callable[[bytes], None]


class Sampler:
    """For the one thread that runs the session; `separate` may be called by any.

    The whole state: whether images are run one at a time (`_separated`, and `_told` until that is done), the time
    `_worked` and `_spent`, whose `_turn` it is in the next batch, and of a suspicion how many looks are `_left` and how
    many answers were `_found` to differ.
    """

    def __init__(self, session: Session, output: Output, single_s: float, send: Send) -> None:
        """`output` is resolved. `single_s`: seconds that one image takes the model."""
        self._session = session
        self._output = output
        self._look_s = single_s
        self._send = send
        self._separated = self._told = False
        self._worked = self._spent = 0.0
        self._turn = self._left = self._found = 0

    def separate(self) -> None:
        """Have images run one at a time from the next batch on."""
        self._told = True

    def most(self, batch: int) -> int:
        """Images in the next batch, which should have `batch`."""
        if self._told and not self._separated:
            self._separated = True
            self._session.run_one_at_a_time()
        return 1 if self._separated else batch

    def look(self, batch: Sequence[Filled], ended: Sequence[Ended]) -> None:
        """A batch has been run and its slots still hold its images: look at one of them, if it is time."""
        self._worked += sum(one.seconds for one in ended)
        whole = len(batch) > 1 and len(ended) == 1 and ended[0].failure is None
        if not whole or self._separated or not (self._left or self._spent + self._look_s <= SHARE * self._worked):
            return
        started = time.monotonic()
        self._turn = (self._turn + 1) % len(batch)
        try:
            alone = [part[0] for part in self._session.run_alone(batch[self._turn].slot)]
        except Exception:  # noqa: BLE001 - a model that fails tells nothing of batches
            return
        why = difference(alone, [part[self._turn] for part in ended[0].outputs], self._output)
        self._look_s = time.monotonic() - started
        self._spent += self._look_s
        self._judge(why, len(batch))

    def _judge(self, why: str | None, size: int) -> None:
        self._left = max(0, self._left - 1) if self._left or not why else _LOOKS - 1
        if not why:
            self._found = self._found if self._left else 0
            return
        self._found += 1
        reason = f"in a batch of {size} {why} from the answer to the image alone"
        if self._found >= _ENOUGH:
            self.separate()
        self._send(frame(Dependent(reason, separate=self._told)))
