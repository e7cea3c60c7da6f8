"""GET / for browsers, GET /page/NAME, and what a form that was sent without scripts gets back."""

import re
from html import escape
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from server.contract.answer import ImageAnswer
from server.web.errors import RequestError
from server.web.page.files import explanations, index, read_files
from server.web.response import RawResponse

_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HTML: Final = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", _POLICY),
    (b"vary", b"accept"),
]
ASSETS: Final = "/page/"

_answer = msgspec.json.Decoder(ImageAnswer)
_FILES: Final = read_files()
_WHAT_TO_DO: Final = explanations(_FILES)


class PageResponse(RawResponse):
    """A response that brings a content security policy of its own."""


def wants_page(scope: Scope) -> bool:
    """Whether this asks for `/` as browsers do: it names HTML, and JSON not before it."""
    if scope["path"] != "/" or scope["method"] != "GET":
        return False
    accept = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
    html, json = accept.find(b"text/html"), accept.find(b"application/json")
    return html >= 0 and not 0 <= json < html


class Page:
    """The views that are served here."""

    def __init__(self, *, clients: bool, admin: bool, records: bool) -> None:
        served = (("try", clients), ("watch", admin), ("records", records))
        self._index = index(_FILES["index.html"], tuple(name for name, here in served if here))

    def index(self) -> Response:
        """The page."""
        return PageResponse(200, [*_HTML, (b"cache-control", b"no-cache")], self._index.body)

    async def asset(self, request: Request) -> Response:
        """A file of the page; 304 for who has it. Raises `RequestError` not_found."""
        file = _FILES.get(request.path_params["name"])
        if file is None or request.path_params["name"] == "index.html":
            raise RequestError("not_found")
        headers = [(b"etag", file.tag.encode()), (b"cache-control", b"no-cache")]
        if request.headers.get("if-none-match") == file.tag:
            return RawResponse(304, headers, b"")
        return RawResponse(200, [(b"content-type", file.media_type.encode()), *headers], file.body)


def as_page(response: Response) -> RawResponse:
    """An answer or a problem document as a page, for a form that was sent without scripts."""
    body = bytes(response.body)
    text = _answered(_answer.decode(body)) if response.status_code == 200 else _refused(msgspec.json.decode(body))
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>Tureen</title><link rel="stylesheet" href="/page/page.css"><main>{text}'
        '<p><a href="/">Another image</a></p></main></html>'
    )
    kept = [one for one in response.raw_headers if one[0] in (b"retry-after", b"www-authenticate", b"server-timing")]
    return PageResponse(response.status_code, [*_HTML, *kept], page.encode())


def _answered(said: ImageAnswer) -> str:
    lines = []
    for one in said.predictions or ():
        lines.append(f"<li>{escape(one.label)}: {one.score:.1%}</li>")
    found = f'<ol class="classes">{"".join(lines)}</ol>' if lines else ""
    if said.score is not msgspec.UNSET:
        found += f"<p>Score {said.score:g}</p>"
    if said.tip is not msgspec.UNSET:
        found += f"<p>{escape(said.tip)}</p>"
    if said.outputs is not msgspec.UNSET:
        found += f"<pre>{escape(msgspec.json.encode(said.outputs).decode()[:2000])}</pre>"
    timing = said.timing
    rows = ((name, getattr(timing, name)) for name in ("upload", "queue", "decode", "infer", "total"))
    table = "".join(f"<tr><th scope=row>{name}<td>{value:.1f} ms</tr>" for name, value in rows)
    ids = f"<p>{escape(said.model.name)} {escape(said.model.version)}, id {said.id}</p>"
    return f"<h1>Answer</h1>{found}<table>{table}</table>{ids}"


def _refused(problem: dict[str, object]) -> str:
    code = str(problem["code"])
    wait = problem.get("retry_after_ms")
    again = f" Come back in {int(wait) / 1000:.1f} s." if isinstance(wait, int) else ""
    title, what = escape(str(problem["title"])), escape(_WHAT_TO_DO.get(code, ""))
    shown = code if re.fullmatch(r"\w+", code) else ""
    request = escape(str(problem["request_id"]))
    return f"<h1>Not answered</h1><p><b>{shown}</b>: {title}. {what}{again}</p><p>Request {request}</p>"
