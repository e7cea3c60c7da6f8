"""A real Redis for the tests of what replicas share."""

import pytest

from tests.redis_server import Server


@pytest.fixture
def redis(tmp_path):
    made = Server(tmp_path)
    yield made
    made.client.close()
    made.kill()
