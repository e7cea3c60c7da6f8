"""Where to send, and the bytes to send there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

_PATH = "/v1/images"
_BOUNDARY = "tureen-bench-7c1f0d5a2e"
_OURS = ("content-length", "transfer-encoding", "connection")  # what they say is ours to say
_TYPES = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp", ".gif": "gif", ".heic": "heic"}


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    host: str
    port: int
    path: str
    tls: bool

    @property
    def authority(self) -> str:
        """As it stands in a URL and in `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.authority}{self.path}"


def parse_url(text: str) -> Target:
    """`http://host:port/path`; without a path, Tureen's own. Raises ValueError."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no address such as http://127.0.0.1:8080")
    if parts.username is not None:
        raise ValueError("a name and a password belong into --header, not into the URL")
    path = parts.path if parts.path not in ("", "/") else _PATH
    if parts.query:
        path += f"?{parts.query}"
    if not (path.isascii() and path.isprintable()) or " " in path:
        raise ValueError(f"the path {path!r} has to be percent-encoded")
    tls = parts.scheme == "https"
    return Target(parts.hostname, parts.port or (443 if tls else 80), path, tls)


def parse_header(text: str) -> tuple[str, str]:
    """`Name: value`. Raises ValueError."""
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    token = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    if not colon or not token or not value.isprintable() or not value.isascii():
        raise ValueError(f"{text!r} is no header such as 'Authorization: Bearer ...'")
    if name.lower() in _OURS:
        raise ValueError(f"{name} is set by the benchmark itself")
    return name, value


def request(target: Target, name: str, picture: bytes, headers: Sequence[tuple[str, str]], multipart: bool) -> bytes:
    """The whole POST of a picture; `name` is its file's."""
    kind = _TYPES.get(f".{name.rpartition('.')[2].lower()}", "")
    media = f"image/{kind}" if kind else "application/octet-stream"
    if multipart:
        plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
        disposition = f'Content-Disposition: form-data; name="image"; filename="{plain}"'
        opening = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: {media}\r\n\r\n"
        picture = opening.encode() + picture + f"\r\n--{_BOUNDARY}--\r\n".encode()
        media = f"multipart/form-data; boundary={_BOUNDARY}"
    fields = {"host": ("Host", target.authority), "content-type": ("Content-Type", media)}
    fields["cache-control"] = ("Cache-Control", "no-store")  # each picture comes many times: not its cache is measured
    fields |= {name.lower(): (name, value) for name, value in headers}
    fields["content-length"] = ("Content-Length", str(len(picture)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.values())
    return f"POST {target.path} HTTP/1.1\r\n{head}\r\n".encode() + picture
