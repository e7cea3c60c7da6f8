"""An OpenID Connect provider in a process of its own: `python -m tests.security.oidc`.

It signs with joserfc, a library that the server does not use. Discovery, a JWKS, and a token endpoint for client
credentials (RFC 6749, 4.4). Commands come on standard input, and each is acknowledged by a line on standard output.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.photos import photo
from tests.security.keys import bearer

AUDIENCE = "urn:tureen"
PHOTO = photo(1)
CLIENT, SECRET = "photos", "s3cret"
BESIDE = {
    "ec": {"use": "sig", "alg": "ES256"},
    "oct": {"use": "sig", "alg": "HS256"},
    "encryption": {"use": "enc", "alg": "RSA-OAEP"},
}


class State:
    """Its keys: the one that signs, those that are published, and some beside that must never verify anything."""

    def __init__(self):
        self.fetches = 0
        self.count = 0
        self.published = {}
        self.beside = {
            "ec": ECKey.generate_key("P-256", {"kid": "ec"}),
            "oct": OctKey.generate_key(256, {"kid": "oct"}),
            "encryption": RSAKey.generate_key(2048, {"kid": "encryption"}),
        }
        self.rotate()

    def rotate(self):
        """Sign with a new key at once; the one before stays published."""
        self.count += 1
        kid = f"key-{self.count}"
        self.signing = RSAKey.generate_key(2048, {"kid": kid})
        self.published = {**dict(list(self.published.items())[-1:]), kid: self.signing}

    def jwks(self):
        keys = [key.as_dict(private=False) | {"use": "sig", "alg": "RS256"} for key in self.published.values()]
        beside = [key.as_dict(private=name == "oct") | BESIDE[name] for name, key in self.beside.items()]
        return {"keys": [*beside, *keys]}

    def token(self, url, kind, scope):
        """Give a token: honest, or signed in some way that must not pass."""
        now = int(time.time())  # noqa: TID251 - tokens carry dates
        claims = {
            "iss": url, "aud": AUDIENCE, "sub": CLIENT, "scope": scope, "nbf": now - 5, "exp": now + 300,
            "jti": os.urandom(8).hex(),
        }  # fmt: skip
        kid = self.signing.kid
        algorithm, claimed, key = {
            "honest": ("RS256", kid, self.signing),
            "no kid": ("RS256", None, self.signing),
            "RS512": ("RS512", kid, self.signing),
            "PS256": ("PS256", kid, self.signing),
            "ES256 by a published key": ("ES256", "ec", self.beside["ec"]),
            "HS256 by a published secret": ("HS256", "oct", self.beside["oct"]),
            "kid of another key": ("RS256", "encryption", self.signing),
            "the encryption key": ("RS256", "encryption", self.beside["encryption"]),
            "kid of a key that was never published": ("RS256", "key-99", self.signing),
            "none": ("none", kid, OctKey.generate_key(256)),
        }[kind]
        header = {"alg": algorithm, "kid": claimed} if claimed else {"alg": algorithm}
        return jwt.encode(header, claims, key, algorithms=[algorithm])


KINDS = (
    "no kid", "RS512", "PS256", "ES256 by a published key", "HS256 by a published secret",
    "kid of another key", "the encryption key", "kid of a key that was never published", "none",
)  # fmt: skip
"""Tokens that must not pass. Without a key id it is not clear which of two published keys is meant."""


def main():
    """Provide until standard input ends."""
    state = State()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.fetches += self.path == "/jwks"
            documents = {
                "/.well-known/openid-configuration": {
                    "issuer": url, "jwks_uri": f"{url}/jwks", "token_endpoint": f"{url}/token",
                },
                "/jwks": state.jwks(),
            }  # fmt: skip
            self.reply(200 if self.path in documents else 404, documents.get(self.path))

        def do_POST(self):
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            right = "Basic " + b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
            if self.headers["authorization"] != right or form.get("grant_type") != ["client_credentials"]:
                return self.reply(401, {"error": "invalid_client"})
            token = state.token(url, form.get("kind", ["honest"])[0], form["scope"][0])
            self.reply(200, {"access_token": token, "token_type": "Bearer", "expires_in": 300})

        def reply(self, status, document):
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(url, flush=True)
        for command in sys.stdin:
            if command == "rotate\n":
                state.rotate()
            print(state.fetches, flush=True)


OURS = (sys.executable, "-m", "tests.security.oidc", "0")


class Provider:
    """The test's end."""

    def __init__(self, program):
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().strip()
        with urllib.request.urlopen(f"{self.url}/.well-known/openid-configuration") as reply:
            self._token_endpoint = json.load(reply)["token_endpoint"]

    def token(self, kind="honest", scope="infer"):
        """Ask for one, as a service does."""
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "kind": kind, "scope": scope}).encode()
        who = b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        request = urllib.request.Request(self._token_endpoint, form, {"Authorization": f"Basic {who}"})
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)["access_token"]

    def tell(self, command):
        """Have a command obeyed. Gives how often the JWKS was fetched."""
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def hang(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def end(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


@contextmanager
def providing(program=OURS):
    """Run a provider: one that takes the same commands on standard input, and gives tokens to the same client."""
    provider = Provider(program)
    try:
        yield provider
    finally:
        provider.end()


async def post(server, token):
    """Give the status of one image."""
    client = await server.connect()
    return (await client.post(PHOTO, **bearer(token))).status


async def rotating(server, provider):
    """Give the statuses of 80 images of four clients. Midway the provider signs with a new key; old tokens stay in use.

    Every other image has a new token.
    """
    statuses, rotated = [], asyncio.Event()

    async def client(number):
        connection = await server.connect()
        old = await asyncio.to_thread(provider.token)
        for count in range(20):
            token = await asyncio.to_thread(provider.token) if count % 2 else old
            statuses.append((await connection.post(PHOTO, **bearer(token))).status)
            if count == 5 and number == 0:
                await asyncio.to_thread(provider.tell, "rotate")
                rotated.set()
            elif count == 10:
                await rotated.wait()

    await asyncio.gather(*(client(number) for number in range(4)))
    return statuses


if __name__ == "__main__":
    main()
