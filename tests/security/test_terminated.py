"""TLS and HTTP/2 end at nginx, as shipped but for its `listen` line; Tureen behind it knows who asks."""

import asyncio
import re
from contextlib import contextmanager

import httpx
import pytest
import trustme

from tests.end_to_end.harness import HTTP_SERVERS, serving
from tests.faults.fleet import free_ports, nginx, wait_listening
from tests.photos import photo
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)


@contextmanager
def behind(folder, authority, *flags, admin=""):
    """A server behind nginx that speaks HTTP/2; gives the URL of nginx."""
    front, back = free_ports(2)
    certificate = folder / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    listen = f"listen {front} ssl http2;\n ssl_certificate {certificate};\n ssl_certificate_key {certificate};"
    with (
        serving("--port", str(back), "--workers", "1", "--trusted-proxies", "127.0.0.1", *flags, admin=admin) as _,
        nginx(folder, front, (back, back), change=lambda text: re.sub(r"listen \d+;", listen, text)),
    ):
        wait_listening(front)
        yield f"https://localhost:{front}"


@pytest.mark.parametrize("http", HTTP_SERVERS)
def test_streams_of_one_connection_do_not_disturb_each_other(tmp_path, http):
    """Good images, refused ones, and bodies that are too large or have no key, all at once over HTTP/2."""
    authority, path = trustme.CA(), tmp_path / "keys.json"
    key, admin = add_key(path, "alice"), add_key(path, "admin", "admin")
    context = httpx.create_ssl_context()
    authority.configure_trust(context)
    requests = [(PHOTO, bearer(key), 200), (b"no image", bearer(key), 415), (bytes(2_000_000), {}, 401)] * 10

    async def work(url):
        async with httpx.AsyncClient(http2=True, verify=context, timeout=60) as client:

            async def post(body, headers):
                reply = await client.post(f"{url}/v1/images", content=body, headers=headers)
                return reply.status_code, reply.http_version

            return await asyncio.gather(*(post(body, headers) for body, headers, _ in requests))

    flags = ["--keys", str(path), "--http-server", http]
    with behind(tmp_path, authority, *flags, admin=admin) as url:
        replies = asyncio.run(work(url))

    assert [(status, "HTTP/2") for _, _, status in requests] == replies


def test_a_client_behind_nginx_has_its_own_rate_and_cannot_forge_another(tmp_path):
    """It counts by the address that nginx saw, whatever the client writes into its headers; others are others."""
    authority = trustme.CA()
    context = httpx.create_ssl_context()
    authority.configure_trust(context)

    async def statuses(url, source):
        transport = httpx.AsyncHTTPTransport(http2=True, verify=context, local_address=source)
        async with httpx.AsyncClient(transport=transport, timeout=60) as client:
            forged = [
                {"X-Forwarded-For": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}", "Priority": "u=0"}
                for number in range(5)
            ]
            return [(await client.post(f"{url}/v1/images", content=PHOTO, headers=each)).status_code for each in forged]

    with behind(tmp_path, authority, "--client-rate", "0.01", "--client-burst", "3") as url:
        found = [asyncio.run(statuses(url, source)) for source in ("127.0.0.2", "127.0.0.3")]

    assert [[200, 200, 200, 429, 429]] * 2 == found
