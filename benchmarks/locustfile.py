"""Load by Locust, for whoever prefers its web interface: `make locust`, or `locust -f benchmarks/locustfile.py`.

Users post photo-like pictures of three sizes, over and over, and think a little between two. A refusal (503) is
shown under a name of its own: it is the server's answer to a load, and not an error. Locust is a closed loop and
uses much CPU: for figures take `tureen bench`.
"""

from __future__ import annotations

import random

from locust import FastHttpUser, between, events, task

from server.commands.bench.photos import photo

_SIZES = ((320, 240), (1024, 768), (4000, 3000))  # pixels
_EACH = 2  # different pictures of a size
_PICTURES: list[tuple[str, bytes]] = []


@events.init.add_listener
def make_pictures(environment, **_):
    """Once, before the users come."""
    for width, height in _SIZES:
        _PICTURES.extend((f"{width}x{height}", photo(width, height, seed)) for seed in range(_EACH))


class Guest(FastHttpUser):
    """Somebody who sends pictures."""

    wait_time = between(0.1, 0.5)  # seconds

    @task
    def post_picture(self):
        size, picture = random.choice(_PICTURES)
        headers = {"Content-Type": "image/jpeg", "Cache-Control": "no-store"}  # few pictures, over and over
        with self.client.post(
            "/v1/images", data=picture, headers=headers, name=f"/v1/images {size}", catch_response=True
        ) as response:
            if response.status_code == 503:
                response.request_meta["name"] += " refused"
                response.success()
            elif response.status_code != 200:
                response.failure(f"answered {response.status_code}")
            elif not response.json().get("predictions"):
                response.failure("no prediction in the answer")
