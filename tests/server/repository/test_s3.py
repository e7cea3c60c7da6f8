"""A repository in a real S3-compatible server: copied down, checked, and its states changed by one writer at a time."""

import boto3
import pytest

from server.repository.errors import Conflict, StoreFailed
from server.repository.folder import Folder
from server.repository.s3 import S3Repository
from server.repository.state import ModelState
from tests.server.cleanup.test_stores import weed

__all__ = ["weed"]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def bucket(weed, request):
    """A prefix of its own: put and delete files below it."""
    client, prefix = boto3.client("s3", endpoint_url=weed.endpoint), request.node.name

    class Bucket:
        url = f"s3://photos/{prefix}"

        @staticmethod
        def put(name, data):
            client.put_object(Bucket="photos", Key=f"{prefix}/{name}", Body=data)

        @staticmethod
        def delete(name):
            client.delete_object(Bucket="photos", Key=f"{prefix}/{name}")

    return Bucket


@pytest.fixture
def repository(bucket, weed, tmp_path):
    with S3Repository(bucket.url, tmp_path / "copy", weed.endpoint) as repository:
        yield repository


def test_models_are_copied_down_and_followed(bucket, repository):
    """What has not changed is not copied again; what has gone is removed; what is no model's file never comes."""
    for name in (
        "food/1/model.onnx",
        "food/1/weights.bin",
        "food/model.toml",
        "food/.x/y",
        "food/state.json",
        "loose",
    ):
        bucket.put(name, name.encode())
    assert 3 == repository.sync()
    assert 0 == repository.sync()
    assert b"food/1/weights.bin" == (repository.folder / "food" / "1" / "weights.bin").read_bytes()

    bucket.put("food/2/model.onnx", b"two")
    bucket.delete("food/1/model.onnx")
    bucket.delete("food/1/weights.bin")
    assert 1 == repository.sync()
    assert ["2"] == Folder(repository.folder).versions("food")
    assert [] == [path for path in repository.folder.parent.iterdir() if path != repository.folder]


def test_of_two_replicas_the_second_writer_is_told(bucket, repository, weed, tmp_path):
    """The bucket decides, by conditional writes."""
    with S3Repository(bucket.url, tmp_path / "other", weed.endpoint) as other:
        _, tag = other.read("food")
        first = repository.write("food", ModelState(generation=1, default="2"), tag)
        with pytest.raises(Conflict):
            other.write("food", ModelState(generation=1, default="3"), tag)

        state, tag = other.read("food")
        assert ("2", first) == (state.default, tag)
        other.write("food", ModelState(generation=2, default="3"), tag)
        assert "3" == repository.read("food").state.default


def test_a_bucket_that_cannot_be_asked_is_told(weed, tmp_path):
    """With what the server says, as often as it is asked."""
    with S3Repository("s3://nobodys/models", tmp_path, weed.endpoint) as repository:
        for _ in range(2):
            with pytest.raises(StoreFailed, match="nobodys"):
                repository.sync()
