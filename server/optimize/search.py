"""Which layers stay in float: a search that asks for trials and is told their results. Pure.

Each is a generator: it yields what to try, is sent what the trial showed, and returns its choice. So tests drive it
with a table, and the command with a model.
"""

from collections.abc import Generator, Mapping, Sequence

Kept = tuple[str, ...]
"""Names of the nodes that stay in float."""


def fewest_kept(ranked: Sequence[str], least: float) -> Generator[Kept, float, Kept | None]:
    """The shortest head of `ranked`, most sensitive first, with which the agreement is at least `least`; None if even
    leaving half of them is not enough.

    Agreement is taken to rise with the number of layers. The length is doubled, then halved in between: about
    2 log2(n) trials.
    """
    most = max(1, len(ranked) // 2)
    failed, length = 0, 1
    while (yield tuple(ranked[:length])) < least:
        if length == most:
            return None
        failed, length = length, min(most, length * 2)
    while length - failed > 1:
        middle = (failed + length) // 2
        if (yield tuple(ranked[:middle])) >= least:
            length = middle
        else:
            failed = middle
    return tuple(ranked[:length])


def ranked_by_error(errors: Mapping[str, float]) -> list[str]:
    """The names of the nodes, the one that does most harm first."""
    return sorted(errors, key=lambda name: (-errors[name], name))
