"""`tureen ready [URL]`: whether a server should be sent requests, as an exit code; for health checks of containers.

Also `python -m server.commands.ready`, which starts in a fifth of the time. It imports nothing outside the standard
library for that.
"""

import http.client
import os
import ssl
import sys
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

EXIT_READY, EXIT_NOT_READY, EXIT_USAGE = 0, 1, 2
_TIMEOUT_S = 5.0

ABOUT = """\
Exit with 0 if a server should be sent requests (its /readyz says 200), and with 1 if not. Prints one line.
"""

EXAMPLES = """\
examples:
  tureen ready                                         the server on this machine, on TUREEN_PORT or 8080
  tureen ready http://10.0.0.7:8080 || echo not yet
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Give the parser the command's one argument."""
    parser.add_argument(
        "url", metavar="URL", nargs="?", help="default: this machine, by TUREEN_PORT and TUREEN_TLS_CERT"
    )


def run(argv: Sequence[str]) -> int:
    """Ask, print one line; `EXIT_READY`, `EXIT_NOT_READY`, or `EXIT_USAGE` for what is no address."""
    parser = ArgumentParser(prog="tureen ready", allow_abbrev=False)
    add_arguments(parser)
    url: str = parser.parse_args(argv).url or own_address(os.environ)
    try:
        connection = _connection(url)
    except ValueError as error:
        print(f"tureen: {url}: {error}; an address is http://HOST:PORT", file=sys.stderr)
        return EXIT_USAGE
    try:
        connection.request("GET", "/readyz")
        reply = connection.getresponse()
        print(reply.status, reply.read(4096).decode(errors="replace"))
        return EXIT_READY if reply.status == 200 else EXIT_NOT_READY
    except (OSError, http.client.HTTPException) as error:
        print(f"tureen: {url} does not answer: {error}", file=sys.stderr)
        return EXIT_NOT_READY
    finally:
        connection.close()


def own_address(environment: Mapping[str, str]) -> str:
    """The address of the server that has this environment."""
    scheme = "https" if environment.get("TUREEN_TLS_CERT") else "http"
    return f"{scheme}://127.0.0.1:{environment.get('TUREEN_PORT') or 8080}"


def _connection(url: str) -> http.client.HTTPConnection:
    """Not yet opened. Raises `ValueError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not an address")
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)
    context = ssl.create_default_context()
    if parts.hostname in ("127.0.0.1", "::1", "localhost"):  # its certificate is for the name that clients use
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S, context=context)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
