"""A client for Tureen, without anything of the server: `Client`, and `AsyncClient` for event loops.

    from tureen_client import Client

    with Client("http://127.0.0.1:8080") as client:
        print(client.send("photo.jpg", deadline_s=0.5)["predictions"])

Its imports are relative: as a distribution of its own it is called `tureen_client`.
"""

from .attempts import RetryBudget
from .client import Answer, AsyncClient, Client
from .errors import DeadlineExceeded, Failed, Refused, TureenError, Unreachable

__all__ = [
    "Answer",
    "AsyncClient",
    "Client",
    "DeadlineExceeded",
    "Failed",
    "Refused",
    "RetryBudget",
    "TureenError",
    "Unreachable",
]
