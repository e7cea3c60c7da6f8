"""One key floods while ten behave, over sockets: the ten keep what is theirs.

At fifty times its share, with ResNet-50: `make soak ARGS="--only flood"`.
"""

import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.security.flooding import CLAIMS, capacity, flood, make_keys
from tests.soak.servers import in_workers

pytestmark = pytest.mark.timeout(180)

PHOTO = photo(1)
SLO_S = 2.0
IMAGE_S = 0.04
WARM_S, SECONDS = 2.0, 4.0
FLOOD, EACH = 75.0, 1.0  # per second; the worker does 25, so that the ten are well within their shares

# However fast the machine is, an image takes as long: the worker sleeps.
SLOW = f"""
def slow(data, *args):
    time.sleep({IMAGE_S})
    return prepare(data, *args)
tensor.prepare = slow
"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A server of 25 images per second, and a key for each client."""
    folder = tmp_path_factory.mktemp("flood")
    keys = make_keys(folder / "keys.json")
    flags = ["--keys", str(folder / "keys.json"), "--workers", "1", "--max-batch", "1", "--slo", f"{SLO_S:g}s"]
    with serving(*flags, admin=keys.admin, environ=in_workers(folder, SLOW)) as server:
        server.run(capacity(server, keys.behaved[0], PHOTO, WARM_S))  # by then it knows what an image takes
        yield server, keys


@pytest.mark.parametrize("claims", CLAIMS)
def test_ten_that_behave_keep_their_goodput_beside_one_that_floods(crowd, claims):
    """At least 95 % of what they ask for is answered within the SLO, whatever the flood claims."""
    server, keys = crowd

    async def work():
        seen = await flood(server, keys, CLAIMS[claims], PHOTO, (FLOOD, EACH), SECONDS, SLO_S)
        return seen, await server.metrics()

    seen, metrics = server.run(work())

    print(seen)
    assert seen.share >= 0.95
    assert metrics['tureen_beyond_share_images_total{outcome="refused"}'] > 0
