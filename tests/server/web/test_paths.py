"""What a path asks for, and what it needs."""

import pytest

from server.web.errors import RequestError
from server.web.paths import resource_of, scope_of, takes_images, targets


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/images", b"", (("", ""),)),
        ("/v1/images", b"model=food", (("food", ""),)),
        ("/v1/images", b"model=food&version=3", (("food", "3"),)),
        ("/v1/images", b"version=3", (("", "3"),)),
        ("/v1/images", b"model=food&model=safety", (("food", ""), ("safety", ""))),
        ("/v1/images", b"model=f%6Fod", (("food", ""),)),
        ("/v1/models/food/images", b"model=ignored", (("food", ""),)),
        ("/v1/models/food/versions/3/images", b"", (("food", "3"),)),
    ],
)
def test_the_models_that_an_image_is_for(path, query, expected):
    """By query or by path; empty where the server decides."""
    assert expected == targets(path, query)


NINE = b"&".join(b"model=%d" % number for number in range(9))


@pytest.mark.parametrize(
    "query",
    [b"model=", b"model=a&model=a", b"model=a&model=b&version=1", b"version=1&version=2", b"\xff", b"model=%ff", NINE],
)
def test_a_query_without_a_clear_meaning_is_refused(query):
    """Rather than half obeyed."""
    with pytest.raises(RequestError, match="bad_model"):
        targets("/v1/images", query)


@pytest.mark.parametrize(
    ("method", "path", "scope", "resource"),
    [
        ("POST", "/v1/images", "infer", "images"),
        ("GET", "/v1/images", "records", "images"),
        ("POST", "/v1/models/food/images", "infer", "images"),
        ("POST", "/v1/models/food/versions/2/images", "infer", "images"),
        ("GET", "/v1/models", "admin", "models"),
        ("POST", "/v1/models/food/versions/2/promote", "admin", "models"),
        ("POST", "/v1/models/food/rollback", "admin", "models"),
        ("GET", "/metrics", "metrics", "metrics"),
        ("GET", "/anything", "admin", "other"),
    ],
)
def test_scope_and_name_of_a_path(method, path, scope, resource):
    """Changing what is served is for admins; what metrics call it is one of a few words."""
    assert (scope, resource) == (scope_of(method, path), resource_of(path))


@pytest.mark.parametrize(
    "path", ["/v1/models/a/b/images", "/v1/models//images", "/v1/models/food/versions/images", "/v1/models"]
)
def test_what_takes_no_images(path):
    """Nothing between is guessed."""
    assert not takes_images(path)
