"""When a certificate ends, read off its file: as much of DER as that takes. Pure."""

import re
import ssl
from datetime import UTC, datetime

_UTC_TIME, _EXPLICIT_0 = 0x17, 0xA0
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def expiry(pem: str) -> float:
    """Seconds since 1970 at which the first certificate of a chain ends. Raises `ValueError` if there is none."""
    found = _PEM.search(pem)
    if not found:
        raise ValueError("there is no certificate in it")
    der = ssl.PEM_cert_to_DER_cert(found[0])
    try:
        _, certificate, _ = _element(der)
        _, fields, _ = _element(certificate)
        parts = []
        while fields:
            tag, value, fields = _element(fields)
            if tag != _EXPLICIT_0:  # the version, which may be missing
                parts.append(value)
        _serial, _algorithm, _issuer, validity, *_ = parts
        _, _, rest = _element(validity)
        tag, text, _ = _element(rest)
    except (IndexError, ValueError) as error:
        raise ValueError(f"its certificate is malformed: {error}") from None
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _element(der: bytes) -> tuple[int, bytes, bytes]:
    """The tag and value of the first element, and what follows it."""
    length, start = der[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start], "big")
    if start + length > len(der):
        raise ValueError("it ends early")
    return der[0], der[start : start + length], der[start + length :]
