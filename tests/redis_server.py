"""A Redis server of a test's own."""

import os
import signal
import socket
import subprocess
import time

import redis


class Server:
    """A Redis server of this test's own."""

    def __init__(self, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = folder
        self.client = redis.Redis(port=self.port)
        self.start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self):
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._folder)]
        self._process = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                self.client.ping()
                return
            except redis.ConnectionError:
                assert time.monotonic() < deadline

    def signal(self, number):
        os.kill(self._process.pid, number)

    def take_away(self, how):
        """`how`: SIGSTOP, and it hangs; or SIGKILL."""
        self.signal(how) if how == signal.SIGSTOP else self.kill()

    def bring_back(self, how):
        """After `take_away`."""
        self.signal(signal.SIGCONT) if how == signal.SIGSTOP else self.start()

    def kill(self):
        self._process.kill()
        self._process.wait()
