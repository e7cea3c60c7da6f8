"""Do two answers agree?"""

import pytest

from server.rollout.compare import Compared, compare

CAT, DOG = b'"predictions":[{"label":"cat","score":0.9}]', b'"predictions":[{"label":"dog","score":0.9}]'


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (CAT, CAT, Compared(True, None)),
        (CAT, b'"predictions":[{"label":"cat","score":0.4}]', Compared(True, None)),
        (CAT, DOG, Compared(False, None)),
        (b'"score":4.0,"label":"good"', b'"score":4.125,"label":"good"', Compared(True, 0.125)),
        (b'"score":4.0,"label":"good"', b'"score":4.5,"label":"good"', Compared(False, 0.5)),
        (b'"score":4.0,"label":"good"', b'"score":4.0625,"label":"fair"', Compared(False, 0.0625)),
        (b'"score":0.5', b'"score":0.5', Compared(True, 0.0)),
        (b'"score":0.5', b'"score":0.53125', Compared(True, 0.03125)),
        (b'"score":0.5', CAT, Compared(False, None)),
        (b'"outputs":{"a":[1]}', b'"outputs":{"a":[2]}', Compared(False, None)),
        (b'"outputs":{"a":[1]}', b'"outputs":{"a":[1]}', Compared(True, None)),
    ],
)
def test_answers_are_compared(old, new, expected):
    """By their best label, and by their score within 5 %."""
    assert expected == compare(old, new, 0.05)
