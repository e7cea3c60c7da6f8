"""Hundreds of keys and addresses: the short form of `make soak ARGS="--only clients"`, which has 30,000."""

import pytest

from tests.soak import clients
from tests.soak.phase import Job

pytestmark = pytest.mark.timeout(120)


@pytest.mark.long
def test_each_of_many_clients_has_its_own_rate_and_costs_little():
    """Every one is let in once, and then told to wait."""
    found = clients.run(Job(1, 0.005, lambda text, share: None))

    assert [] == [promise for promise in found.promises if promise.kept is False]
