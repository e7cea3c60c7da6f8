"""The bucket and the queues of this folder's stack.

setup.py              make them, as soon as their servers are up; again does no harm
setup.py put NAME     put standard input below in/, and have the queue ask for its answer
setup.py list         the names of what is kept
"""

import json
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

BUCKET, QUEUE = "photos", "photos"
WITHIN_S = 120.0

s3, sqs = boto3.client("s3", endpoint_url="http://s3:8333"), boto3.client("sqs", endpoint_url="http://sqs:9324")


def make() -> None:
    """Raises what boto3 raises while a server is not up."""
    if BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=BUCKET)
    dead = sqs.create_queue(QueueName=f"{QUEUE}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "20"})
    print(sqs.create_queue(QueueName=QUEUE, Attributes={"RedrivePolicy": policy})["QueueUrl"])


def make_in_time() -> None:
    """As `make`, when the servers are up."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            make()
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def put(name: str, body: bytes) -> None:
    """What S3's event notifications do on AWS."""
    key = f"in/{name}"
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"bucket": BUCKET, "key": key}))


match sys.argv[1:]:
    case []:
        make_in_time()
    case ["put", name]:
        put(name, sys.stdin.buffer.read())
    case ["list"]:
        for kept in s3.list_objects_v2(Bucket=BUCKET, Prefix="kept/").get("Contents", ()):
            print(kept["Key"])
    case _:
        sys.exit(__doc__)
