"""What every front end sees of an engine, be it in this process or behind a socket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from batcher import Refused
from batcher.policy import DEFAULT_URGENCY
from batcher.stats import Stats
from preprocess.header import Header
from preprocess.limits import Limits
from server.contract.answer import Answer
from server.contract.metadata import ModelMetadata
from server.contract.owner import NOBODY, Owner
from server.contract.task import ImageTask, Reuse, Task
from server.engine.arrivals import GiveUp, Reservation
from server.engine.loop_delay import LoopDelay


@dataclass(frozen=True, slots=True)
class ReuseStats:
    """What was spared, and what is kept for it."""

    lookups: Mapping[str, int] = field(default_factory=dict)
    """Tasks by where their reply came from: `hit` (the cache), `coalesced` (an inference under way), `miss`."""
    cache_errors: Mapping[str, int] = field(default_factory=dict)
    """Failures of the cache, by reason; each cost a miss."""
    cache_entries: int = 0
    cache_bytes: int = 0
    """Of the cache in memory."""


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """A snapshot of what serves one version of one model."""

    model: str
    version: str
    stage: str
    """`loading`, `ready` (for traffic), `serving` (the default), `standby` (was the default), or `draining`."""
    slo_s: float
    stats: Stats
    workers: int
    """Workers there should be."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Workers replaced, by reason."""
    metadata: ModelMetadata | None = None
    """None until the first worker is ready."""
    differences: int = 0
    separated: bool = False
    reuse: ReuseStats = field(default_factory=ReuseStats)

    @property
    def takes_traffic(self) -> bool:
        """Whether it could take a task now."""
        return self.stage in ("ready", "serving", "standby") and self.stats.executors > 0


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of an engine, by value; of all that it serves together, and of each."""

    stats: Stats
    workers: int
    """Workers there should be."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Workers replaced, by reason."""
    arriving_bytes: int = 0
    """Bytes held by uploads under way."""
    model: ModelMetadata | None = None
    """The model that answers where none is named; None until its first worker is ready."""
    differences: int = 0
    """How often an image was answered otherwise in a batch than alone, of those that were looked at."""
    separated: bool = False
    """Whether images are run one at a time for that."""

    reuse: ReuseStats = field(default_factory=ReuseStats)
    beyond_share: Mapping[str, int] = field(default_factory=dict)
    """Images beyond their owner's share of the workers, by outcome: answered, refused, ended (late, or unwanted)."""
    forwards: bool = False
    """Whether images are not answered here, but passed on."""
    lanes: tuple[LaneStatus, ...] = ()
    changes: Mapping[str, int] = field(default_factory=dict)
    """Changes of version so far, by action and result, such as `load failed`."""
    shared_decodes: int = 0
    """Images that one model was given as another had prepared them."""
    started: bool = True
    """Whether everything has been tried that is to be served from the start."""

    @property
    def ready(self) -> bool:
        """Whether images can be taken now."""
        return self.forwards or (self.started and any(lane.takes_traffic for lane in self.lanes))


class Intake(Protocol):
    """Takes tasks in, gives answers out. Times are seconds of CLOCK_MONOTONIC, urgencies 0 (first) to 7."""

    @property
    def slo_s(self) -> float:
        """Seconds in which a task is answered that names no deadline of its own."""

    @property
    def limits(self) -> Limits:
        """What an image's header may promise."""

    @property
    def max_bytes(self) -> int:
        """Encoded bytes that may be held at a time, by uploads under way and by tasks not yet answered."""

    @property
    def delay(self) -> LoopDelay:
        """How late this process's event loop is."""

    def slo_of(self, model: str) -> float:
        """Seconds in which a task for this model is answered; of the default model for "" and for an unknown one."""

    async def submit(
        self,
        task: Task,
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """The answer to a task, by `deadline` (None: within the SLO from now). Owners share the workers by weight.

        `sticky`: what a client calls itself, so that it meets the same version of a model while two share the traffic.
        `reuse`: whether an inference that is under way, or an answer that is kept, will do: `Answer.reply.source` says.

        Raises the errors of `batcher` and of `server.contract.errors`; a `Refused` says in `retry_after_s` when the
        task would have been accepted.
        Cancellation: the task is taken back at whatever stage it is.
        """

    async def submit_to_each(
        self,
        task: ImageTask,
        models: Sequence[str],
        deadline: float | None = None,
        urgency: int = DEFAULT_URGENCY,
        reuse: Reuse = "allowed",
        owner: Owner = NOBODY,
        sticky: str = "",
    ) -> Answer:
        """The answers of several models to one image, as one: `Answer.parts`. It is decoded once for all models that
        prepare images alike. The rest as `submit`; what any of them raises is raised, and the others are taken back.
        """

    def reserve(self, size: int, give_up: GiveUp | None = None) -> Reservation:
        """Room for an upload of `size` bytes (0 while unknown), of which a small allowance counts until more is here.

        `give_up` ends the upload with `QueueFull` where others need its bytes more; without one it never ends so.
        Raises what would refuse its allowance if it were here already: `QueueFull`, `NoExecutor`, `BatcherClosed`.
        """

    def refusal(
        self, header: Header, size: int, deadline: float, urgency: int, coming: int, owner: Owner = NOBODY
    ) -> Refused | None:
        """What `submit` would refuse an image of `size` bytes with, after `coming` others like it; counted as refused.

        None where it would be accepted, or where only `submit` can tell. Raises `BatcherClosed`.
        """

    def remembers(self, size: int, payload: bytes | None, owner: Owner = NOBODY) -> bool:
        """Whether an answer of this owner's may be kept for an image of `size` bytes, so that it need not be admitted
        to be answered.

        `payload`: its bytes if they are here; without them, and with other models, it may turn out otherwise.
        """

    async def forget(self, content: str, account: str = "") -> None:
        """Keep no answer any more to this content, hex of its XXH3-128, for this account (`Owner.account`)."""

    def status(self) -> Status:
        """The state and the counters."""

    async def wait_ready(self) -> ModelMetadata:
        """Wait until the first worker is ready; the model that answers. Cancellation: stops waiting."""

    async def drain(self) -> None:
        """Refuse new tasks from now on, and wait until every accepted one has ended."""
