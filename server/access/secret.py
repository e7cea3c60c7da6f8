"""API keys: 256 random bits, of which only a hash is kept.

A hash without salt or stretching is right here: nobody can guess 256 random bits, and a look-up by the hash tells an
attacker's clock nothing about the key.
"""

import hashlib
import secrets
from typing import Final

PREFIX: Final = "tureen_"  # so that secret scanners, and people, recognise one


def new_secret() -> str:
    """A new key: the prefix and 43 characters of base64url."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: bytes) -> bytes:
    """SHA-256 of a key or token, as it is kept and looked up."""
    return hashlib.sha256(secret).digest()
