"""Simulated machines: what decoding and batches cost on them, and what goes wrong when."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

from batcher.scheduling.batch_profile import BatchProfile


@dataclass(frozen=True)
class Machine:
    """Executors that decode images and run them in batches of `alpha_s + beta_s * n`. `threads`: images that each
    decodes at a time beside its batches, as with a GPU; 0: one after the other, then the batch, as on a CPU."""

    name: str
    alpha_s: float
    beta_s: float
    decode_s: float
    slo_s: float
    max_batch: int = 32
    executors: int = 2
    threads: int = 0

    def run_s(self, count: int) -> float:
        return self.alpha_s + self.beta_s * count

    @property
    def batch(self) -> int:
        """Images in a batch that pays, as the server's warm-up finds it."""
        return _pays(self)

    @property
    def grant(self) -> int:
        """As a worker of the server grants."""
        return self.batch + max(self.batch, self.threads) if self.threads else 2 * self.batch

    def work_s(self, decode_s: float) -> float:
        """The least seconds of a executor for one image."""
        each = self.run_s(self.batch) / self.batch
        return max(decode_s / self.threads, each) if self.threads else decode_s + each

    @property
    def decoding_bounds(self) -> bool:
        """Whether the threads that decode have more to do than the device beside them."""
        return bool(self.threads) and self.decode_s / self.threads > self.run_s(self.batch) / self.batch


@cache
def _pays(machine: Machine) -> int:
    profile = BatchProfile()
    for size in (1 << power for power in range(machine.max_batch.bit_length())):
        profile.observe(size, machine.run_s(size))
    if not machine.threads:
        profile.set_inline_prep(machine.decode_s)
    return profile.best_size(machine.max_batch) or 1


MACHINES = {
    machine.name: machine
    for machine in (
        Machine("resnet", 0.0, 0.040, 0.003, 1.0),
        Machine("heavy", 0.0, 0.075, 0.003, 0.5),
        Machine("mobilenet", 0.0, 0.008, 0.003, 0.25),
        Machine("tiny", 0.0, 0.0003, 0.0007, 0.1),
        Machine("gpu", 0.001, 0.00004, 0.0007, 0.1, max_batch=64, executors=1, threads=4),
        Machine("big-alpha", 0.020, 0.002, 0.0007, 0.5),
    )
}


@dataclass(frozen=True)
class Trouble:
    """What goes wrong. Times are shares of the run's length."""

    name: str
    half_speed: tuple[float, float] = (2.0, 2.0)
    stalls: float = 0.0
    """The share of runs that take a fifth of the SLO longer."""
    deaths: tuple[float, ...] = ()
    """When the first executor's runner dies; it is replaced after a twentieth of the run, a second at most."""
    first_executor: float = 1.0
    """By what factor the first executor is slower than the others, all the time."""

    def pace(self, executor: int) -> float:
        """By what factor this executor is slower than the machine's usual one."""
        return 1.0 if executor else self.first_executor


TROUBLES = {
    trouble.name: trouble
    for trouble in (
        Trouble("none"),
        Trouble("half-speed", half_speed=(0.4, 0.7)),
        Trouble("stalls", stalls=0.003),
        Trouble("death", deaths=(0.5,)),
        Trouble("uneven", first_executor=2.0),
    )
}

RUN_NOISE = 0.05
DECODE_NOISE = 0.2
DECODE_BIAS = 1.3
"""By what factor decoding takes longer than the header lets expect."""


def noisy(random: Random, seconds: float, noise: float) -> float:
    """Multiply by a log-normal factor of median 1."""
    return seconds * random.lognormvariate(0.0, noise)
