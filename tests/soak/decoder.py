"""Damaged files straight through the decoder, in this process: what it refuses, how long it takes, what it keeps."""

import itertools
from collections import Counter

import numpy as np

from tests.preprocess.mutations import RECIPES, good_files, mutations, peak_bytes, timed
from tests.soak.phase import Findings, Job

COUNT = 100_000
_SLOWEST_S = 0.5  # of CPU
_GROWTH_MIB = 64.0
_TELL_EVERY = 1000


def run(job: Job) -> Findings:
    found, count = Findings(), job.count(COUNT, 100)
    slots = [np.zeros(recipe.shape, recipe.dtype) for recipe in RECIPES]
    counts: Counter[str] = Counter()
    unexpected: Counter[str] = Counter()
    slowest_s, before = 0.0, 0
    for number, (name, data) in enumerate(itertools.islice(mutations(good_files(), job.seed), count)):
        if number % _TELL_EVERY == 0:
            job.say(name, number / count)
        if number == count // 10:  # what decoders allocate once is there by now
            before = peak_bytes()
        try:
            seconds, code = timed(data, RECIPES[number % 2], slots[number % 2])
        except Exception as error:
            unexpected[type(error).__name__] += 1
            continue
        counts[code] += 1
        if seconds > slowest_s:  # once more: the first time may have been somebody else's doing
            again_s, _ = timed(data, RECIPES[number % 2], slots[number % 2])
            slowest_s = max(slowest_s, min(seconds, again_s))
    found.figure("files", f"{count:,}")
    found.figure("by outcome", ", ".join(f"{code}: {number:,}" for code, number in counts.most_common()))
    found.none("errors that are no refusal", unexpected.total())
    found.at_most("slowest, CPU", slowest_s, _SLOWEST_S, "s", 3)
    found.at_most("growth after the first tenth", (peak_bytes() - before) / 2**20, _GROWTH_MIB, "MiB")
    found.raw |= {"outcomes": dict(counts), "unexpected": dict(unexpected), "slowest_s": slowest_s}
    return found
