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
_MISSING = ("404", "NoSuchKey", "NotFound")
_BUSY = ("503", "SlowDown", "ServiceUnavailable", "InternalError", "500", "RequestTimeout", "Throttling")


class S3Store:
    """A `stores.Store` under `prefix` in a bucket."""

    def __init__(self, bucket: str, prefix: str, endpoint: str = "", encryption: str = "", threads: int = 8) -> None:
        """`encryption`: AES256, aws:kms, or none of ours. Raises `StoreError` if there is no region, for example."""
        config = Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            max_pool_connections=threads,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
            request_checksum_calculation="when_required",  # newer default checksums break compatible servers
            response_checksum_validation="when_required",
        )
        try:
            self._client: Any = boto3.session.Session().client("s3", endpoint_url=endpoint or None, config=config)
        except (BotoCoreError, ValueError) as error:
            raise StoreError("refused", str(error)) from None
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
        except ClientError as error:
            raise _failed(error) from None
        except BotoCoreError as error:
            raise StoreError("unreachable", str(error)) from None

    def _do(self, operation: str, **arguments: Any) -> Any:  # noqa: ANN401 - botocore's answers have no types
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            if operation == "get_object" and _code(error) in _MISSING:
                return None
            raise _failed(error) from None
        except BotoCoreError as error:
            raise StoreError("unreachable", str(error)) from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _failed(error: ClientError) -> StoreError:
    return StoreError("busy" if _code(error) in _BUSY else "refused", f"{_code(error)}: {error}")
