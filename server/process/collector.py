"""The garbage collector of a process that serves."""

import gc


def spare_the_collector() -> None:
    """What is here now stays: it need not be looked at again, nor what comes and goes so often as by default."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
