"""Real S3 and SQS stand-ins for tests: SeaweedFS and ministack, each on ports of its own."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

START_S = 40
REGION = "us-east-1"
ENVIRON = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": REGION}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Aws:
    """S3 and SQS at one endpoint."""

    def __init__(self):
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            env={**os.environ, **ENVIRON, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port)},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.s3 = boto3.client("s3", endpoint_url=self.endpoint)
        self.sqs = boto3.client("sqs", endpoint_url=self.endpoint)
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.sqs.list_queues()
                return
            except (BotoCoreError, ClientError):
                assert time.monotonic() < deadline

    def queue(self, name, **attributes):
        """Make a queue; give its URL at this endpoint."""
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def queue_with_dead_letters(self, name):
        dead = self.queue(f"{name}-dead")
        policy = f'{{"deadLetterTargetArn":"{self.arn(dead)}","maxReceiveCount":"1000"}}'
        return self.queue(name, RedrivePolicy=policy), dead

    def arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def send(self, url, *bodies):
        for body in bodies:
            self.sqs.send_message(QueueUrl=url, MessageBody=body)

    def take_all(self, url):
        """Receive and delete whatever is there now."""
        found = []
        while messages := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += messages
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def left(self, url):
        """How many messages wait or are in somebody's hand."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def signal(self, number):
        os.kill(self._process.pid, number)

    def close(self):
        self._process.kill()
        self._process.wait()


@contextmanager
def aws():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRON.items():
            patch.setenv(name, value)
        server = Aws()
        try:
            yield server
        finally:
            server.close()
