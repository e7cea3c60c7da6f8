"""SQS, and what is compatible with it: long polling, visibility, dead letters. One client per process, in threads.

Credentials are botocore's own business: environment, files, roles.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server.queues.source import Delivery, QueueFailed

_POLL_S = 2
"""A longer poll would save little, and would hold up the end of this process for as long."""
_AT_A_TIME = 10  # the most that SQS takes or gives in one call
_THREADS = 16
_LONGEST_S = 12 * 3600
_BUSY = ("503", "500", "ServiceUnavailable", "InternalError", "InternalFailure", "RequestThrottled", "Throttling",
         "ThrottlingException", "OverLimit")  # fmt: skip
_GONE = ("ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight")


class SqsQueue:
    """A `Source` and a `Publisher`. The whole state: the URL of the dead letters, once it has been looked up."""

    def __init__(self, url: str, endpoint: str = "", visibility_s: float = 30, dead_letters: str = "") -> None:
        """`dead_letters`: a URL; "" for what the queue itself names. Raises `QueueFailed` without a region."""
        self._url = url
        self._visibility_s = math.ceil(visibility_s)
        self._dead_letters: str | None = dead_letters or None
        self._limiter = anyio.CapacityLimiter(_THREADS)
        config = Config(
            connect_timeout=2, read_timeout=_POLL_S + 5, max_pool_connections=_THREADS,
            retries={"mode": "standard", "total_max_attempts": 2}, region_name=_region(url),
        )  # fmt: skip
        try:
            self._client: Any = boto3.session.Session().client(
                "sqs", endpoint_url=endpoint or _endpoint(url), config=config
            )
        except (BotoCoreError, ValueError) as error:
            raise QueueFailed("refused", str(error)) from None

    async def receive(self, most: int) -> Sequence[Delivery]:
        """As `Source.receive`."""
        answer = await self._do(
            "receive_message", MaxNumberOfMessages=min(most, _AT_A_TIME), WaitTimeSeconds=_POLL_S,
            VisibilityTimeout=self._visibility_s, MessageSystemAttributeNames=["All"],
        )  # fmt: skip
        return [_delivery(message) for message in answer.get("Messages", ())]

    async def extend(self, deliveries: Sequence[Delivery]) -> None:
        """As `Source.extend`."""
        for at in range(0, len(deliveries), _AT_A_TIME):
            entries = [
                {"Id": str(number), "ReceiptHandle": one.handle, "VisibilityTimeout": self._visibility_s}
                for number, one in enumerate(deliveries[at : at + _AT_A_TIME])
            ]
            await self._do("change_message_visibility_batch", Entries=entries)

    async def finish(self, delivery: Delivery) -> None:
        """As `Source.finish`."""
        await self._do("delete_message", ReceiptHandle=delivery.handle)

    async def put_back(self, delivery: Delivery, after_s: float) -> None:
        """As `Source.put_back`."""
        seconds = min(math.ceil(after_s), _LONGEST_S)
        await self._do("change_message_visibility", ReceiptHandle=delivery.handle, VisibilityTimeout=seconds)

    async def bury(self, delivery: Delivery, body: str, reason: str) -> bool:
        """As `Source.bury`; the reason is the attribute `reason`."""
        if self._dead_letters is None:
            self._dead_letters = await self._look_up_dead_letters()
        if not self._dead_letters:
            return False
        attributes = {
            "reason": {"DataType": "String", "StringValue": reason},
            "receives": {"DataType": "Number", "StringValue": str(delivery.receives)},
        }
        await self._do("send_message", self._dead_letters, MessageBody=body, MessageAttributes=attributes)
        return True

    async def depth(self) -> int:
        """As `Source.depth`."""
        name = "ApproximateNumberOfMessages"
        answer = await self._do("get_queue_attributes", AttributeNames=[name])
        return int(answer.get("Attributes", {}).get(name, 0))

    async def publish(self, body: str) -> None:
        """As `Publisher.publish`."""
        await self._do("send_message", MessageBody=body)

    # -- inside ------------------------------------------------------------------------------------

    async def _look_up_dead_letters(self) -> str:
        answer = await self._do("get_queue_attributes", AttributeNames=["RedrivePolicy"])
        policy = answer.get("Attributes", {}).get("RedrivePolicy")
        arn = msgspec.json.decode(policy).get("deadLetterTargetArn", "") if policy else ""
        if not arn:
            return ""
        account, name = arn.split(":")[-2:]
        found = await self._call(partial(self._client.get_queue_url, QueueName=name, QueueOwnerAWSAccountId=account))
        return str(found["QueueUrl"])

    async def _do(self, operation: str, url: str = "", **arguments: Any) -> Any:  # noqa: ANN401 - botocore's answers have no types
        return await self._call(partial(getattr(self._client, operation), QueueUrl=url or self._url, **arguments))

    async def _call(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401 - as above
        try:
            return await anyio.to_thread.run_sync(call, limiter=self._limiter)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code.rpartition(".")[2] in _GONE:  # it was delivered to somebody else meanwhile, who does the same
                return {}
            raise QueueFailed("busy" if code in _BUSY else "refused", f"{code}: {error}") from None
        except BotoCoreError as error:
            raise QueueFailed("unreachable", str(error)) from None


def _delivery(message: dict[str, Any]) -> Delivery:
    told = message.get("Attributes", {})
    receives, sent_ms = int(told.get("ApproximateReceiveCount", 1)), int(told.get("SentTimestamp", 0))
    return Delivery(message.get("Body", ""), receives, sent_ms / 1e3, message["ReceiptHandle"])


def _region(url: str) -> str | None:
    found = re.match(r"https://sqs\.([a-z0-9-]+)\.amazonaws\.com", url)
    return found[1] if found else None


def _endpoint(url: str) -> str | None:
    """Where a queue's URL leads, unless that is AWS, which botocore knows better."""
    parts = urlsplit(url)
    return None if _region(url) else f"{parts.scheme}://{parts.netloc}"
