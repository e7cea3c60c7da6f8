"""TLS as clients see it: versions, certificates, their replacement under load, and handshakes that go nowhere."""

import asyncio
import socket
import ssl
import struct
import subprocess

import pytest
import trustme

from tests.end_to_end.harness import serving
from tests.photos import photo

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
HANDSHAKE_S = 5.0
CONNECTIONS = 30


class Authority:
    """A certificate authority whose certificates lie in one folder."""

    def __init__(self, folder):
        self.ca = trustme.CA()
        self.folder = folder
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.issue()

    def issue(self):
        """Write a new server certificate over the old one."""
        issued = self.ca.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(self.folder / "server.pem"))

    def client(self, certificate=None):
        """Give how a client of this authority connects."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate:
            certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module", params=["hypercorn", "uvicorn"])
def secure(request, tmp_path_factory):
    """A server over TLS, and who certifies it."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    flags = ["--http-server", request.param, "--tls-cert", str(authority.folder / "server.pem")]
    with serving(*flags, "--max-connections", str(CONNECTIONS), tls=authority.client()) as server:
        yield server, authority


def serial(client):
    """Give the serial number of the server's certificate."""
    return client.writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]


def test_images_are_answered_over_tls(secure):
    """Many on one connection, by the best version there is, and HTTP/1.1."""
    server, authority = secure

    async def work():
        context = authority.client()
        context.set_alpn_protocols(["h2", "http/1.1"])
        client = await server.connect(context)
        return [await client.post(PHOTO) for _ in range(3)], client.writer.get_extra_info("ssl_object")

    replies, session = server.run(work())

    assert [200] * 3 == [reply.status for reply in replies]
    assert ("TLSv1.3", "http/1.1") == (session.version(), session.selected_alpn_protocol())
    assert server.block.split()[-1].startswith("https://")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(secure, version):
    """With forward secrecy."""
    server, authority = secure

    async def work():
        context = authority.client()
        context.maximum_version = version
        client = await server.connect(context)
        reply = await client.request("GET", "/healthz")
        return reply.status, client.writer.get_extra_info("cipher")

    status, (cipher, *_) = server.run(work())

    assert 200 == status
    assert cipher.startswith(("ECDHE-", "TLS_"))


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES256-GCM-SHA384"])
def test_weak_ciphers_are_refused(secure, cipher):
    """No CBC, and no key exchange without forward secrecy."""
    server, authority = secure

    async def work():
        context = authority.client()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(cipher + ":@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await server.connect(context)

    server.run(work())


def client_hello(version):
    """Give a ClientHello of an old version, which no library here makes."""
    body = struct.pack(">H", version) + bytes(32) + b"\0" + b"\0\4\xc0\x13\0\x2f" + b"\1\0"
    message = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302])
def test_old_versions_are_refused(secure, version):
    """By an alert, or a closed connection."""
    server, _ = secure
    with socket.create_connection((server.host, server.port), 10) as sock:
        sock.sendall(client_hello(version))
        assert sock.recv(1) in (b"", b"\x15")


def test_plain_http_on_the_port_gets_nothing(secure):
    """No answer in the clear."""
    server, _ = secure
    with socket.create_connection((server.host, server.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert b"HTTP" not in sock.recv(100)


def test_a_refused_large_body_gets_its_answer_over_tls(secure):
    """413, though the body has not been read."""
    server, _ = secure

    async def work():
        client = await server.connect()
        head = b"POST /v1/images HTTP/1.1\r\nhost: t\r\ncontent-length: 30000000\r\n\r\n"
        client.writer.write(head + bytes(1_000_000))
        return await client.read()

    assert 413 == server.run(work()).status


def test_a_malformed_request_gets_its_last_answer_over_tls(secure):
    """And then the connection ends."""
    server, _ = secure

    async def work():
        client = await server.connect()
        client.writer.write(b"BREW / HTTP/1.1\r\nhost: t\r\n\r\n")
        reply = await client.read()
        return reply.status, await client.reader.read()

    assert (501, b"") == server.run(work())


def test_handshakes_that_go_nowhere_count_as_connections_and_end(secure):
    """They fill a server as connections do; within the time limit there is room again."""
    server, _ = secure

    async def work():
        stuck = [await asyncio.open_connection(server.host, server.port) for _ in range(CONNECTIONS)]
        with pytest.raises(OSError):  # noqa: PT011 - however the operating system puts it
            await server.connect()
        ends = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in stuck)), 4 * HANDSHAKE_S)
        for _, writer in stuck:
            writer.close()
        client = await server.connect()
        return ends, (await client.request("GET", "/healthz")).status

    assert ([b""] * CONNECTIONS, 200) == server.run(work())


def test_a_client_that_renegotiates_is_cut_off(secure):
    """By OpenSSL's own client, over TLS 1.2: it is told that there is no renegotiation; others are answered."""
    server, _ = secure
    address = f"{server.host}:{server.port}"
    done = subprocess.run(
        ["openssl", "s_client", "-connect", address, "-tls1_2"], input="R\n", capture_output=True, text=True, timeout=20
    )

    async def work():
        return (await (await server.connect()).post(PHOTO)).status

    assert "RENEGOTIATING" in done.stdout + done.stderr
    assert "no renegotiation" in done.stderr.lower()
    assert done.returncode
    assert 200 == server.run(work())


def test_a_new_certificate_is_taken_over_under_load(secure):
    """New connections get it, old ones go on, and no request fails."""
    server, authority = secure

    async def work():
        old = await server.connect()
        authority.issue()
        while True:
            client = await server.connect()
            replies = [await client.post(PHOTO), await old.post(PHOTO)]
            assert [200, 200] == [reply.status for reply in replies]
            if serial(client) != serial(old):
                return
            await client.close()

    server.run(work())


def test_a_broken_certificate_leaves_the_old_one_in_force(secure):
    """And is logged."""
    server, authority = secure
    (authority.folder / "server.pem").write_text("half a file")

    async def work():
        while "certificate_not_reloaded" not in server.log:
            client = await server.connect()
            assert 200 == (await client.request("GET", "/healthz")).status
            await client.close()

    server.run(work())
    authority.issue()


def test_only_certified_clients_get_in_where_that_is_asked(tmp_path):
    """mTLS: none, a stranger's, and the right one."""
    authority = Authority(tmp_path)
    good, stranger = authority.ca.issue_cert("client"), trustme.CA().issue_cert("client")
    flags = ["--tls-cert", str(tmp_path / "server.pem"), "--tls-client-ca", str(tmp_path / "ca.pem")]

    async def status(server, context):
        try:
            client = await server.connect(context)
            return (await client.request("GET", "/healthz")).status
        except (OSError, asyncio.IncompleteReadError):
            return None

    async def work(server):
        return [await status(server, authority.client(who)) for who in (None, stranger, good)]

    with serving(*flags, tls=authority.client(good)) as server:
        assert [None, None, 200] == server.run(work(server))


def test_a_certificate_without_its_key_stops_the_start(tmp_path):
    """With the file's name."""
    Authority(tmp_path)
    with pytest.raises(AssertionError, match=r"cannot_serve"), serving("--tls-cert", str(tmp_path / "ca.pem")):
        pass
