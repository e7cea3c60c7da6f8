"""S3, and what is compatible with it, as a store: one client per process, short time-outs, few retries.

Credentials are botocore's own business: environment, files, roles.
"""

from collections.abc import Iterator
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server.cleanup.stores import StoreError

_CONNECT_S, _READ_S, _ATTEMPTS = 1, 2, 2
_MISSING = ("404", "NoSuchKey", "NoSuchVersion", "NotFound")
_BUSY = ("503", "SlowDown", "ServiceUnavailable", "InternalError", "500", "RequestTimeout", "Throttling")


class S3Store:
    """A `stores.Store` under `prefix` in a bucket."""

    def __init__(self, bucket: str, prefix: str, endpoint: str = "", encryption: str = "", threads: int = 8) -> None:
        """`encryption`: AES256, aws:kms, or none of ours. Raises `StoreError` if there is no region, for example."""
        self._client = s3_client(endpoint, threads)
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._extra = {"ServerSideEncryption": encryption} if encryption else {}

    def put(self, name: str, data: bytes, media_type: str) -> None:
        """As `Store.put`."""
        self._do("put_object", Key=self._prefix + name, Body=data, ContentType=media_type, **self._extra)

    def get(self, name: str) -> bytes | None:
        """As `Store.get`."""
        found = self._do("get_object", Key=self._prefix + name)
        try:
            return found["Body"].read() if found else None
        except (BotoCoreError, OSError) as error:
            raise StoreError("unreachable", str(error)) from None

    def delete(self, name: str) -> None:
        """As `Store.delete`."""
        self._do("delete_object", Key=self._prefix + name)

    def names(self) -> Iterator[str]:
        """As `Store.names`."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                yield from (one["Key"].removeprefix(self._prefix) for one in page.get("Contents", ()))
        except (BotoCoreError, ClientError) as error:
            raise failed(error) from None

    def _do(self, operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - botocore's answers have no types
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            if operation == "get_object" and is_missing(error):
                return None
            raise failed(error) from None
        except BotoCoreError as error:
            raise failed(error) from None


def s3_client(endpoint: str, threads: int) -> Any:  # noqa: ANN401 - botocore makes its classes as it goes
    """A client for so many threads. Raises `StoreError`."""
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        max_pool_connections=threads,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        request_checksum_calculation="when_required",  # newer default checksums break compatible servers
        response_checksum_validation="when_required",
    )
    try:
        return boto3.session.Session().client("s3", endpoint_url=endpoint or None, config=config)
    except (BotoCoreError, ValueError) as error:
        raise StoreError("refused", str(error)) from None


def failed(error: BotoCoreError | ClientError) -> StoreError:
    """What an error of botocore is to users of a store."""
    if isinstance(error, ClientError):
        return StoreError("busy" if code(error) in _BUSY else "refused", f"{code(error)}: {error}")
    return StoreError("unreachable", str(error))


def is_missing(error: ClientError) -> bool:
    """Whether it says that there is no such object."""
    return code(error) in _MISSING


def code(error: ClientError) -> str:
    """The code that S3 gave."""
    return str(error.response.get("Error", {}).get("Code", ""))
