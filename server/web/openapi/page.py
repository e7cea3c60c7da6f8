"""The document as one page of HTML, without a script and without anything from another host. Pure."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{margin-bottom:0} h2{margin-top:2.5rem;border-bottom:1px solid #ccc} code{font-family:ui-monospace,monospace}
summary{padding:.4rem;cursor:pointer} details{border:1px solid #ddd;border-radius:4px;margin:.5rem 0;padding:0 .5rem}
.method{display:inline-block;min-width:4.5rem;font-weight:700}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem}
table{border-collapse:collapse} tr+tr{border-top:1px solid #eee} pre{overflow:auto;background:#f6f6f6;padding:.6rem}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1a1a1a}details{border-color:#444}pre{background:#262626}
tr+tr{border-color:#333}}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'none'"
"""The page's Content-Security-Policy."""


def page(document: Mapping[str, Any]) -> str:
    """The page."""
    info = document["info"]
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{escape(info['title'])}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(info['title'])}</h1><p>Version {escape(info['version'])}. {escape(info['description'])}</p>",
            '<p>For tools: <a href="openapi.json">openapi.json</a></p>',
            *_tags(document),
            "</main></body></html>",
        )
    )


def _tags(document: Mapping[str, Any]) -> Iterator[str]:
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append("".join(_operation(method, path, operation)))
    for tag, operations in tags.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        yield from operations


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f'<details><summary><span class="method">{method.upper()}</span> <code>{escape(path)}</code> '
    yield f"{escape(operation['summary'])}</summary><table>"
    for parameter in operation["parameters"]:
        where = f"{parameter['in']} <code>{escape(parameter['name'])}</code>"
        yield f"<tr><th>{where}</th><td>{escape(parameter.get('description', ''))}</td></tr>"
    if body := operation.get("requestBody"):
        yield f"<tr><th>body</th><td>{_names(body['content'])}. {escape(body['description'])}</td></tr>"
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        text = f"{escape(response['description'])} {_names(content)}{_examples(content)}"
        yield f"<tr><th>{status}</th><td>{text}</td></tr>"
    yield "</table></details>"


def _names(content: Mapping[str, Any]) -> str:
    return ", ".join(f"<code>{escape(media)}</code>" for media in content)


def _examples(content: Mapping[str, Any]) -> str:
    found = [body["example"] for body in content.values() if "example" in body]
    return "".join(f"<pre>{escape(json.dumps(example, indent=2))}</pre>" for example in found)
