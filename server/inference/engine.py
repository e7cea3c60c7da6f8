"""Fill slots, run the batch, answer: the loop of a worker whose decoding and model share one core.

A batch stays open while its images are decoded, so what arrives meanwhile still joins it; it is closed
when it is as large as pays, or nothing more is there.
"""

from server.inference.inbox import Inbox
from server.inference.link import PolledInbox
from server.inference.sampling import Sampler
from server.inference.stages import Filled, Filler, Runner, Send


class Engine:
    """One thread does it all. Owns the session's slots."""

    def __init__(
        self, filler: Filler, runner: Runner, sampler: Sampler, batch: int, inbox: Inbox | PolledInbox, send: Send
    ) -> None:
        self._filler = filler
        self._runner = runner
        self._sampler = sampler
        self._batch = batch
        self._inbox = inbox
        self._send = send

    def run_forever(self) -> None:
        """Serve until the process ends."""
        while True:
            self._inbox.wait()
            if filled := self.fill():
                self.run(filled)

    def fill(self) -> list[Filled]:
        """Decode what is there into the slots."""
        filled: list[Filled] = []
        most = self._sampler.most(self._batch)
        while len(filled) < most and (job := self._inbox.take()):
            one = self._filler.fill(job, len(filled))
            self._inbox.done(job)
            if one:
                filled.append(one)
        return filled

    def run(self, filled: list[Filled]) -> None:
        """Run the filled slots and answer; then sample the batch, whose answers have been sent."""
        ended = self._runner.run(filled)
        self._send(b"".join(map(self._runner.answer, ended)))
        self._sampler.look(filled, ended)
