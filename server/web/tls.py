"""The TLS side of the server: certificates, what is offered to clients, and taking over files that have changed."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog

from server.settings import Settings, TlsSettings
from server.web.tls_expiry import expiry

HANDSHAKE_S: Final = 5.0
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no others."""

log = structlog.stdlib.get_logger("tureen.web")


class TlsFailed(Exception):
    """The certificate files cannot be used; the message says why."""


class Certificates:
    """Its state: the context for new connections, replaced as a whole, and when its certificate ends."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises `TlsFailed`."""
        self._settings = settings
        self._context = _context(settings)
        self.expires = _expiry(settings)
        """Seconds since 1970."""

    @property
    def paths(self) -> Sequence[Path]:
        """The files to watch."""
        settings = self._settings
        return [path for path in (settings.tls_cert, settings.tls_key, settings.tls_client_ca) if path]

    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context

    def reload(self) -> None:
        """Take over what the files hold now; if it cannot be used, the old certificate stays."""
        try:
            self._context = _context(self._settings)
            self.expires = _expiry(self._settings)
        except TlsFailed as error:
            log.error("certificate_not_reloaded", reason=str(error))
            return
        log.info("certificate_reloaded")


def _context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    try:
        assert settings.tls_cert
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_password)
        if settings.tls_client_ca:
            context.load_verify_locations(settings.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        names = ", ".join(str(path) for path in (settings.tls_cert, settings.tls_key, settings.tls_client_ca) if path)
        raise TlsFailed(f"{names}: {error}") from None
    return context


def _expiry(settings: TlsSettings) -> float:
    assert settings.tls_cert
    try:
        return expiry(settings.tls_cert.read_text(encoding="ascii", errors="replace"))
    except (OSError, ValueError) as error:
        raise TlsFailed(f"{settings.tls_cert}: {error}") from None


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the private key is encrypted, and nobody is there to type a password")


def certificates_of(settings: Settings) -> Certificates | None:
    """None for plain HTTP. Raises `TlsFailed`."""
    if not settings.tls.tls_cert:
        return None
    if settings.server.proxy_protocol:  # its header comes before the handshake
        raise TlsFailed("proxy_protocol and tls_cert exclude each other: let the load balancer end TLS")
    return Certificates(settings.tls)
