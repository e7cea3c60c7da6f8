"""The images that messages name: objects in S3, and uploads that a server without workers has put into the store."""

import threading
from datetime import datetime
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from server.cleanup.s3 import failed, is_missing, s3_client
from server.cleanup.stores import Store, StoreError
from server.contract.ids import derived_uuid7
from server.queues.notification import Asked, Forwarded, S3Object


class Missing(Exception):
    """There is no such object any more."""


class TooLarge(Exception):
    """It has more bytes than an image may have."""


class Fetched(NamedTuple):
    """An image, and what identifies it for ever: a second delivery of the same object has the same id."""

    id: str
    body: bytes
    source: str
    request_id: str = ""
    owner: str = ""
    stored_as: str = ""
    """The name of the original in the store, if it is there already."""


class Objects:
    """Blocking: call it from a thread. `threads`: at most so many at a time."""

    def __init__(self, store: Store | None, endpoint: str, max_bytes: int, threads: int) -> None:
        """`endpoint`: of a server compatible with S3; "" for AWS."""
        self._store = store
        self._endpoint = endpoint
        self._max_bytes = max_bytes
        self._threads = threads
        self._lock = threading.Lock()
        self._made: Any = None  # for the first object: with forwarded uploads alone there is none

    def fetch(self, asked: Asked) -> Fetched:
        """Raises `Missing`, `TooLarge`, `StoreError`."""
        return self._uploaded(asked) if isinstance(asked, Forwarded) else self._object(asked)

    def _uploaded(self, asked: Forwarded) -> Fetched:
        upload = asked.upload
        body = self._store.get(upload.name) if self._store else None
        if body is None:
            raise Missing
        return Fetched(upload.id, body, "", upload.request_id, upload.owner, upload.name)

    def _object(self, asked: S3Object) -> Fetched:
        version = {"VersionId": asked.version} if asked.version else {}
        try:
            found = self._client().get_object(Bucket=asked.bucket, Key=asked.key, **version)
            if found["ContentLength"] > self._max_bytes:
                found["Body"].close()
                raise TooLarge
            body = found["Body"].read()
        except ClientError as error:
            if is_missing(error):
                raise Missing from None
            raise failed(error) from None
        except BotoCoreError as error:
            raise failed(error) from None
        except OSError as error:
            raise StoreError("unreachable", str(error)) from None
        return Fetched(_id(asked, found), body, f"s3://{asked.bucket}/{asked.key}")

    def _client(self) -> Any:  # noqa: ANN401 - botocore makes its classes as it goes
        with self._lock:
            self._made = self._made or s3_client(self._endpoint, self._threads)
            return self._made


def _id(asked: S3Object, found: dict[str, Any]) -> str:
    """From bucket, key and version, or the ETag where there are no versions; its time is that of the object."""
    modified: datetime = found["LastModified"]
    version = str(found.get("VersionId") or found.get("ETag") or "")
    return derived_uuid7(int(modified.timestamp() * 1000), asked.bucket, asked.key, version)
