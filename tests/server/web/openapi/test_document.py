"""The OpenAPI document: valid, whole, and true."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from server.contract.answer import ImageAnswer
from server.web.app import Resources
from server.web.batch import Batch
from server.web.drifts import Drifts
from server.web.errors import PROBLEMS
from server.web.health import Health
from server.web.images import Images
from server.web.models import ModelsAdmin
from server.web.oip.repository import RepositoryResources
from server.web.oip.resources import Protocol
from server.web.openapi.document import Limits, document
from server.web.openapi.operations import OPERATIONS
from server.web.openapi.page import POLICY, page
from server.web.openapi.schemas import EXAMPLE_ANSWER
from server.web.page.resources import Page
from server.web.profiling import PROFILE, STACKS, Profiling
from server.web.puts import Puts
from server.web.records import Records
from server.web.rollouts import Rollouts
from server.web.watch import Watch
from tests.server.web.openapi.routes import routes_of

BY_PATTERN = {
    ("POST", "/v1/images/{id}/outcome"),
    ("POST", "/v1/models/{model}/images"),
    ("POST", "/v1/models/{model}/versions/{version}/images"),
}
"""What is found without a route."""
OF_THE_PAGE = ("/try", "/page/{name}")
WHOLE = document(OPERATIONS, Limits(1000, 4000), keys=True)


def test_the_document_is_valid():
    """By the validator of the specification."""
    assert [] == list(OpenAPIV31SpecValidator(WHOLE).iter_errors())


def test_every_route_is_described():
    """And nothing that is no route."""
    images = Images(None, None, 0)
    records, protocol = Records(None, None, others=True), Protocol(None, None, None, 0)
    operators = (ModelsAdmin(None), Rollouts(None, None), Drifts(None), RepositoryResources(None))
    changes = [route for one in operators for route in one.routes()]
    watch = Watch(None, None, None)
    page = Page(clients=True, admin=True, records=True)
    resources = Resources(images, Health(None, None, True), records, True, page, watch, changes, None, protocol)
    resources.work("/v1/images/{id}", "PUT", Puts(None, images, None).put)
    resources.work("/v1/images:batch", "POST", Batch(None, images, None, 0).post)
    resources.work(PROFILE, "GET", Profiling(None).profile)
    resources.work(STACKS, "GET", Profiling(None).stacks)
    resources.describe(Limits(1, 1), keys=False)

    assert {*OPERATIONS} == {route for route in routes_of(resources) if route[1] not in OF_THE_PAGE} | BY_PATTERN


def test_every_problem_is_described():
    """Each code of the table stands at an operation, with its text."""
    assert {code for code in PROBLEMS if f"`{code}`: {PROBLEMS[code].title}" not in json.dumps(WHOLE)} == {
        code for code in PROBLEMS if '"' in PROBLEMS[code].title
    }
    assert {*PROBLEMS} == {*WHOLE["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]}


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_problem_stands_under_its_status(code):
    """At one operation at least."""
    status = str(PROBLEMS[code].status)
    found = [
        operation["responses"][status]
        for methods in WHOLE["paths"].values()
        for operation in methods.values()
        if status in operation["responses"]
    ]

    assert any(f"`{code}`" in response["description"] for response in found)


def test_the_example_has_the_members_of_an_answer():
    """None that the struct lacks."""
    assert {*EXAMPLE_ANSWER} <= {*ImageAnswer.__struct_fields__}


def test_the_page_needs_nobody_else():
    """No script, no address of another host; its style is the one its policy allows."""
    html = page(WHOLE)

    assert "<script" not in html
    assert "http://" not in html
    assert "https://" not in html
    assert "style-src 'sha256-" in POLICY
    assert all(f"<code>{path}</code>" in html for path in WHOLE["paths"])
