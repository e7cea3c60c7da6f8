"""Images that are kept are for whoever sent them; to all others they are not there."""

import json
import re

import pytest

from tests.end_to_end.harness import serving
from tests.photos import photo
from tests.security.keys import add_key, bearer

pytestmark = pytest.mark.timeout(120)

PHOTO = photo(1)
WHO = ("alice", "bob", "reader", "sender", "admin")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server that keeps images, its keys by name, and one image of alice's and of bob's that are in the store."""
    folder = tmp_path_factory.mktemp("kept")
    path = folder / "keys.json"
    scopes = {
        "alice": ("infer", "records"), "bob": ("infer", "records"), "reader": ("records",), "sender": ("infer",),
        "admin": ("admin",),
    }  # fmt: skip
    secrets = {name: add_key(path, name, *scopes[name]) for name in WHO}
    flags = ["--keys", str(path), "--store", str(folder / "store"), "--records", "open", "--threads", "1"]
    with serving(*flags, admin=secrets["admin"]) as server:

        async def send():
            return [await request(server, secrets[name], "POST", "/v1/images", PHOTO) for name in ("alice", "bob")]

        alice, bob = (reply.json() for reply in server.run(send()))

        async def stored():
            for who, one in (("alice", alice), ("bob", bob)):
                while (await request(server, secrets[who], "GET", f"/v1/images/{one['id']}")).status == 202:
                    pass

        server.run(stored())
        yield server, secrets, alice, bob


async def request(server, secret, method, path, body=b"", port=None):
    """Give the reply to one request on a connection of its own."""
    client = await server.connect()
    return await client.request(method, path, body, **bearer(secret))


def statuses(server, secrets, method, path):
    """Give what each of `WHO` gets."""

    async def work():
        return {who: (await request(server, secrets[who], method, path)).status for who in WHO}

    return server.run(work())


@pytest.mark.parametrize("rest", ["", "/original"])
def test_an_image_is_for_its_owner_and_admins(world, rest):
    """404 to others, not 403: they do not learn that it exists; a key without the scope gets 403 for any id."""
    server, secrets, alice, _ = world

    expected = {"alice": 200, "bob": 404, "reader": 404, "sender": 403, "admin": 200}
    assert expected == statuses(server, secrets, "GET", f"/v1/images/{alice['id']}{rest}")


def test_a_hash_finds_ones_own_images(world):
    """Two owners sent the same bytes, and neither is told of the other; an admin is told of both."""
    server, secrets, alice, bob = world

    async def work():
        path = f"/v1/images?hash={alice['hash']}"
        return {who: await request(server, secrets[who], "GET", path) for who in WHO}

    found = server.run(work())

    assert 403 == found["sender"].status
    assert ([alice["id"]], [bob["id"]], []) == tuple(found[who].json()["ids"] for who in ("alice", "bob", "reader"))
    assert sorted([alice["id"], bob["id"]]) == sorted(found["admin"].json()["ids"])
    assert "duplicate_of" not in bob


def test_nobody_deletes_anothers_image(world):
    """The answer is the same as for an image that is not there, and the image stays."""
    server, secrets, alice, _ = world

    async def work():
        deleted = await request(server, secrets["bob"], "DELETE", f"/v1/images/{alice['id']}")
        return deleted.status, (await request(server, secrets["alice"], "GET", f"/v1/images/{alice['id']}")).status

    assert (204, 200) == server.run(work())


def test_an_owner_deletes_and_an_admin_does_it_with_a_line(world):
    """Who, what, and whose; an owner's own acts leave none."""
    server, secrets, *_ = world

    async def work():
        ids = [
            (await request(server, secrets["alice"], "POST", "/v1/images", photo(number))).json()["id"]
            for number in (2, 3)
        ]
        for who, id_ in zip(("alice", "admin"), ids, strict=True):
            assert 204 == (await request(server, secrets[who], "DELETE", f"/v1/images/{id_}")).status
        gone = [(await request(server, secrets["admin"], "GET", f"/v1/images/{id_}/original")).status for id_ in ids]
        return ids, gone

    ids, gone = server.run(work())

    while "images.delete" not in server.log:  # lines are written by a thread
        pass
    lines = [line for line in server.log.splitlines() if "images.delete" in line]
    assert 1 == len(lines)
    assert all(word in lines[0] for word in ("key:admin", "key:alice", ids[1]))
    assert {404, 202} >= set(gone)  # 202: as young as this, it may be on its way to another replica's store


def test_on_a_public_address_images_of_others_are_on_the_admin_port(tmp_path):
    """Not even an admin reads them on the public port; without a key nobody reads anything there."""
    path = tmp_path / "keys.json"
    alice, admin = add_key(path, "alice", "infer", "records"), add_key(path, "admin", "admin")
    flags = ["--host", "0.0.0.0", "--admin-port", "0", "--store", str(tmp_path / "store"), "--records", "open"]
    with serving(*flags, "--keys", str(path), "--threads", "1", ready=False) as server:
        public = server.port
        private = int(re.search(r"admin +http://127\.0\.0\.1:(\d+)/metrics", server.block)[1])

        async def get(secret, port, id_):
            server.port = port
            while (reply := await request(server, secret, "GET", f"/v1/images/{id_}")).status == 202:
                pass
            server.port = public
            return reply.status

        async def work():
            sent = await request(server, alice, "POST", "/v1/images", PHOTO)
            id_ = sent.json()["id"]
            return [await get(alice, public, id_), await get(admin, public, id_), await get(admin, private, id_)]

        assert [200, 404, 200] == server.run(work())


def test_records_say_whose_they_are(world):
    """In the store, too."""
    server, secrets, alice, _ = world

    async def work():
        return await request(server, secrets["alice"], "GET", f"/v1/images/{alice['id']}")

    assert "key:alice" == json.loads(server.run(work()).body)["owner"]
