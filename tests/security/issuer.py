"""A token issuer on loopback: discovery, a JWKS that can be rotated, and tokens of every kind, honest or not."""

import base64
import hashlib
import hmac
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "urn:tureen"


class Issuer:
    """Its state: the signing keys by id, whether it answers, and how often it was asked for its keys."""

    def __init__(self, address):
        self.url = address
        self.down = False
        self.fetches = 0
        self.keys = {}
        self.add_key("one")

    def add_key(self, kid):
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def documents(self):
        keys = []
        for kid, key in self.keys.items():
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            keys.append({**public, "kid": kid, "use": "sig", "alg": "RS256"})
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": {"keys": keys},
        }

    def claims(self, **changes):
        now = time.time()  # noqa: TID251 - tokens carry dates
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "user-1",
            "scope": "infer",
            "nbf": now - 10,
            "exp": now + 300,
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def token(self, kid="one", headers=None, key=None, **changes):
        return jwt.encode(
            self.claims(**changes), key or self.keys[kid], algorithm="RS256", headers={"kid": kid, **(headers or {})}
        )

    def public_pem(self, kid="one"):
        return (
            self.keys[kid]
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def forged(self, algorithm, secret=b"", **changes):
        """Give a token whose header names `algorithm`: unsigned, or signed with HMAC over `secret`."""
        parts = [{"alg": algorithm, "typ": "JWT", "kid": "one"}, self.claims(**changes)]
        text = ".".join(_base64(json.dumps(part).encode()) for part in parts)
        signature = hmac.digest(secret, text.encode(), hashlib.sha256) if secret else b""
        return f"{text}.{_base64(signature)}"


def _base64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def issuing():
    """Run an issuer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            issuer.fetches += self.path == "/jwks"
            document = None if issuer.down else issuer.documents().get(self.path)
            body = json.dumps(document).encode()
            self.send_response(200 if document else 503)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_): ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
