"""The document and the page of the server that runs, and thousands of requests made of the document."""

import re
import subprocess
import sys

import pytest

from server.contract.answer import ImageAnswer
from server.web.openapi.schemas import EXAMPLE_ANSWER
from tests.photos import photo
from tests.protocols.test_rest import send

pytestmark = pytest.mark.timeout(180)

REQUESTS = 300


def test_document_and_page_are_there(demo):
    """Neither needs anything from another host."""
    document, html = send(demo, "GET", "/openapi.json"), send(demo, "GET", "/docs")

    assert "3.1.0" == document.json()["openapi"]
    assert {"/v1/images", "/v2/models/{model}/infer"} <= document.json()["paths"].keys()
    assert b"/v1/images:batch" in html.body
    assert "style-src 'sha256-" in html.headers["content-security-policy"]


def test_the_example_is_a_real_answer(demo):
    """Its members and values are those of an answer, whatever differs between two requests."""
    answer = send(demo, "POST", "/v1/images", photo(1)).json()

    changing = ("id", "hash", "timing", "batch")
    assert {name: value for name, value in answer.items() if name not in changing} == {
        name: value for name, value in EXAMPLE_ANSWER.items() if name not in changing
    }
    assert {*answer} == {*EXAMPLE_ANSWER} <= {*ImageAnswer.__struct_fields__}


def test_generated_requests_get_documented_answers(demo):
    """No status, type or body that the document does not have, and no failure of the server."""
    program = [sys.executable, "-m", "schemathesis.cli", "run", f"http://{demo.host}:{demo.port}/openapi.json"]
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    options = [
        "--checks",
        checks,
        "--max-examples",
        "4",
        "--seed",
        "1",
        "--phases",
        "coverage,fuzzing",
        "--suppress-health-check",
        "all",
        "--exclude-path",
        "/watch/events",  # each takes seconds: make soak asks for it, too
        "--exclude-path",
        "/debug/profile",  # likewise
    ]

    done = subprocess.run([*program, *options], capture_output=True, text=True, timeout=170)

    assert not done.returncode, done.stdout
    made = re.search(r"(\d+) generated", done.stdout)
    assert made
    assert REQUESTS <= int(made[1]), done.stdout
