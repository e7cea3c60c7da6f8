"""Which answers go into the prediction log: a share of all, or those that a rule names. Pure.

0.01                 one in a hundred
errors               what failed; slow: what took more than half of the promise
score<0.6            what the model was not sure of; label=soup: what it took for a soup
0.01,errors,slow     any of these
"""

import re
from typing import NamedTuple

_CONDITION = re.compile(r"(score)(<|>)(-?[0-9]+(?:\.[0-9]+)?)|(label)(=)([^,]{1,100})")
_SLOW = 0.5  # of the promise


class Seen(NamedTuple):
    """What a rule may ask about an answer."""

    code: str
    total_s: float
    score: float | None
    label: str


class Rule(NamedTuple):
    """What is logged. `share`: of all answers, from 0 to 1; `words` are errors and slow."""

    share: float
    words: frozenset[str]
    conditions: tuple[tuple[str, str, str], ...]

    def takes(self, seen: Seen, chance: float, slo_s: float) -> bool:
        """Whether this answer is logged. `chance`: a random number from 0 to 1."""
        if chance < self.share:
            return True
        if "errors" in self.words and seen.code != "ok":
            return True
        if "slow" in self.words and seen.total_s > _SLOW * slo_s:
            return True
        return any(_holds(seen, *condition) for condition in self.conditions)


def read_rule(text: str) -> Rule:
    """Raises `ValueError` with the part that is no rule."""
    share, words, conditions = 0.0, set(), []
    for part in (part.strip() for part in text.split(",")):
        if part in ("errors", "slow"):
            words.add(part)
        elif found := _CONDITION.fullmatch(part):
            name, operator, value = (group for group in found.groups() if group is not None)
            conditions.append((name, operator, value))
        elif re.fullmatch(r"0?\.[0-9]+|[01](\.0+)?", part):
            share = max(share, float(part))
        else:
            raise ValueError(f"{part!r} is neither")
    return Rule(share, frozenset(words), tuple(conditions))


def _holds(seen: Seen, name: str, operator: str, value: str) -> bool:
    if name == "label":
        return seen.label == value
    if seen.score is None:
        return False
    return seen.score < float(value) if operator == "<" else seen.score > float(value)
