"""Where this server reaches into hypercorn, h11 and uvicorn: it knows which versions it fits, and says so."""

import inspect
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.web.http import http1, uvicorn
from server.web.http.versions import WrongVersion, require

KNOWN = [*http1.VERSIONS.items(), *uvicorn.VERSIONS.items()]


def pins():
    """What pyproject.toml asks for, an entry for each package."""
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["uvicorn"]]


@pytest.mark.parametrize(("library", "known"), KNOWN)
def test_version_that_is_known_is_pinned_and_installed(library, known):
    """To change one: read its change log, check `server/web/http`, run tests/faults, then change it in both places."""
    assert known == version(library)
    assert f"{library}=={known}" in pins()


def test_another_version_is_refused_by_name():
    """Whoever reads the message knows what to install."""
    with pytest.raises(WrongVersion, match=r"h11 is \S+, and this server needs 0\.1\.2: pip install h11==0\.1\.2"):
        require({"h11": "0.1.2"})


@pytest.mark.parametrize(
    ("ours", "theirs", "added"),
    [
        (uvicorn.UvicornConnection, HttpToolsProtocol, {"_parse", "_decline", "client_left", "resume"}),
        (http1.Http1, H11Protocol, {"_run_app", "_invite"}),
        (http1.Stream, HTTPStream, set()),
    ],
)
def test_what_is_overridden_is_still_there(ours, theirs, added):
    """A method that nobody calls any more would open HTTP/2 again, or drop a limit, silently."""
    names = {name for name, value in vars(ours).items() if inspect.isfunction(value)}

    assert added == {name for name in names if not hasattr(theirs, name)}
