"""What messages ask for: events as S3, SNS and EventBridge send them, and nonsense."""

import json

import pytest

from server.queues.notification import Forwarded, S3Object, Unreadable, Upload, forward, read


def record(key, name="ObjectCreated:Put", **more):
    return {"eventName": name, "s3": {"bucket": {"name": "b"}, "object": {"key": key, **more}}}


def event(*records):
    return json.dumps({"Records": records})


def found(body):
    return [(one.bucket, one.key, one.version, one.size) for one in read(body)]


@pytest.mark.parametrize(
    ("key", "meant"),
    [("in/my+photo%2B1.jpg", "in/my photo+1.jpg"), ("in%2Fmy+photo%2B1.jpg", "in/my photo+1.jpg"), ("%C3%A4", "ä")],
)
def test_keys_of_s3_are_decoded(key, meant):
    """As forms encode them, whichever characters are."""
    assert [("b", meant, "v", 5)] == found(event(record(key, size=5, versionId="v")))


def test_each_record_is_asked_for_and_can_stand_alone():
    """So that one of them can be a dead letter by itself."""
    asked = read(event(record("1"), record("2")))

    assert ["1", "2"] == [one.key for one in asked]
    assert [asked[1]] == read(asked[1].part)


@pytest.mark.parametrize(
    "body",
    [
        event(record("1", "ObjectRemoved:Delete")),
        event(record("1", "s3:ObjectRestore:Post")),
        json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
        json.dumps({"detail-type": "Object Deleted", "detail": {"bucket": {"name": "b"}, "object": {"key": "1"}}}),
    ],
)
def test_what_brings_no_image_asks_for_nothing(body):
    """A test event, a removal."""
    assert [] == read(body)


def test_keys_of_event_bridge_are_plain():
    """They are not encoded."""
    detail = {"bucket": {"name": "b"}, "object": {"key": "a+b%2B.jpg", "size": 3, "version-id": "v"}}

    assert [("b", "a+b%2B.jpg", "v", 3)] == found(json.dumps({"detail-type": "Object Created", "detail": detail}))


def test_sns_is_an_envelope():
    """Around an event of S3, or around a message by hand."""
    inner = event(record("a+b"))

    assert [("b", "a b", "", 0)] == found(json.dumps({"Type": "Notification", "Message": inner}))


def test_a_message_by_hand():
    """Its key is plain."""
    assert [("b", "a+b", "", 0)] == found('{"bucket": "b", "key": "a+b"}')


def test_an_upload_is_read_as_it_was_forwarded():
    """With all that belongs to it."""
    upload = Upload(id="1", name="2026-11-28/1.jpg", bytes=3, request_id="r", owner="o")
    (asked,) = read(forward(upload))

    assert isinstance(asked, Forwarded)
    assert upload == asked.upload


@pytest.mark.parametrize(
    "body",
    [
        "", "junk", "[]", "1", "{}", "\ud800", '{"Records": 1}', '{"Records": [{}]}', '{"bucket": "b"}',
        '{"bucket": "", "key": "k"}',
        '{"Records": [{"s3": {"bucket": {}, "object": {"key": "k"}}}]}', '{"upload": {"id": 1}}', "\x00", "[" * 5000,
        '{"Type": "Notification", "Message": "x"}', '{"detail-type": "Object Created", "detail": {}}',
    ],
)  # fmt: skip
def test_anything_else_is_unreadable(body):
    """Whatever it is."""
    with pytest.raises(Unreadable):
        read(body)


def test_envelopes_have_an_end():
    """However many there are."""
    body = "{}"
    for _ in range(10):
        body = json.dumps({"Type": "Notification", "Message": body})

    with pytest.raises(Unreadable):
        read(body)


def test_a_test_event_is_no_object():
    """Though it names a bucket."""
    assert not any(isinstance(one, S3Object) for one in read('{"Event": "s3:TestEvent", "Bucket": "b"}'))
