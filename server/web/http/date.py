"""The Date header of responses (RFC 9110, section 6.6.1), made once a second."""

from email.utils import formatdate
from time import monotonic

_KEPT_S = 1.0


class HttpDate:
    """Gives the present date as bytes."""

    def __init__(self) -> None:
        self._text = b""
        self._until = 0.0

    def __call__(self) -> bytes:
        now = monotonic()
        if now >= self._until:
            self._until = now + _KEPT_S
            self._text = formatdate(usegmt=True).encode()
        return self._text


http_date = HttpDate()
