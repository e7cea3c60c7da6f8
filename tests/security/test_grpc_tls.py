"""gRPC over TLS: with the server's certificate, and with a client's where the server asks for one."""

import asyncio
import socket

import grpc
import pytest
import trustme

from server.web.rpc import inference_pb2 as pb
from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.protocols.conftest import grpc_address
from tests.protocols.test_grpc import Client, failure, of_images
from tests.security.test_tls import Authority

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def mutual(tmp_path_factory):
    """A server that asks clients for a certificate of its authority, and the authority."""
    authority = Authority(tmp_path_factory.mktemp("grpc-tls"))
    folder, certificate = authority.folder, authority.ca.issue_cert("client")
    flags = ["--tls-cert", str(folder / "server.pem"), "--tls-client-ca", str(folder / "ca.pem"), "--grpc-port", "0"]
    tls = authority.client(certificate)
    with serving(*flags, "--workers", "1", "--slo", "30s", tls=tls) as server:
        yield server, authority, certificate


def credentials(authority, certificate=None):
    """Give what a client of this authority shows and trusts."""
    if certificate is None:
        return grpc.ssl_channel_credentials(authority.ca.cert_pem.bytes())
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    return grpc.ssl_channel_credentials(authority.ca.cert_pem.bytes(), certificate.private_key_pem.bytes(), chain)


def infer(server, shown):
    """Give what a call with these credentials gives."""
    address = grpc_address(server).replace("127.0.0.1", "localhost")

    async def run():
        async with Client(address, shown) as client:
            call = client.call("ModelInfer", of_images(photo(1), model="colourfulness"))
            return await call

    return asyncio.run(run())


def test_a_client_with_a_certificate_is_answered(mutual):
    """Over TLS on both sides."""
    server, authority, certificate = mutual

    response = infer(server, credentials(authority, certificate))

    assert isinstance(response, pb.ModelInferResponse)
    assert "colourfulness" == response.model_name


@pytest.mark.parametrize("shown", ["none", "a stranger's", "plain text"])
def test_others_do_not_get_in(mutual, shown):
    """Without a certificate, with one of another authority, and without TLS."""
    server, authority, _ = mutual
    address = grpc_address(server).replace("127.0.0.1", "localhost")
    stranger = trustme.CA().issue_cert("client")
    given = {
        "none": credentials(authority),
        "a stranger's": credentials(authority, stranger),
        "plain text": None,
    }[shown]

    async def run():
        async with Client(address, given) as client:
            return await failure(client.call("ServerLive", pb.ServerLiveRequest(), timeout=5))

    assert grpc.StatusCode.UNAVAILABLE == asyncio.run(run()).code()


def test_a_new_certificate_is_taken_over(mutual):
    """New connections get it, without a restart; calls are answered all the while."""
    server, authority, certificate = mutual
    shown = credentials(authority, certificate)
    host, port = grpc_address(server).rsplit(":", 1)

    def serial():
        context = authority.client(certificate)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, int(port)), 10) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            return connection.getpeercert()["serialNumber"]

    before = serial()
    authority.issue()
    while serial() == before:
        assert "colourfulness" == infer(server, shown).model_name

    assert "colourfulness" == infer(server, shown).model_name
