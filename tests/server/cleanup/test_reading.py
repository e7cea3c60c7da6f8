"""What clean-up tells the web process about an image, by who asks."""

import anyio
import pytest

from server.cleanup import files
from server.cleanup.carrier import Carrier
from server.cleanup.index import Index
from server.cleanup.item import dumps, encode_record, original_name, record_name
from server.cleanup.reading import Delete, Found, Get, Hidden, Librarian, Missing, Unavailable, ask
from server.cleanup.spool import SUFFIX
from server.cleanup.stores import FolderStore
from tests.server.cleanup.samples import item

ALICES = item(owner="key:alice")
ID = ALICES.record.id


@pytest.fixture(params=["spooled", "stored"])
def place(request, tmp_path):
    """A spool and a store, one of which has an image of alice's, with nobody that carries."""
    store = FolderStore(tmp_path / "store")
    if request.param == "spooled":
        files.write(tmp_path / f"{ID}{SUFFIX}", dumps(ALICES))
    else:
        store.put(original_name(ALICES.record), ALICES.original, "image/jpeg")
        store.put(record_name(ID), encode_record(ALICES.record), "application/json")
    return tmp_path, store, request.param


async def answer(folder, question):
    """Give the reply to a question, once somebody listens."""
    while True:
        try:
            return (await ask(folder, question))[0]
        except Unavailable:
            await anyio.sleep(0.001)


def told(place, *questions):
    """Give the replies to some questions, one after the other."""
    folder, store, _ = place

    async def work():
        index = Index(folder)
        carrier = Carrier(folder, store, index)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Librarian(folder, store, carrier).serve)
            replies = [await answer(folder, question) for question in questions]
            tasks.cancel_scope.cancel()
        index.close()
        return replies

    return anyio.run(work)


def test_another_is_told_nothing_wherever_the_image_is(place):
    """Neither the record nor that it is on its way."""
    assert [Hidden(), Hidden()] == told(place, Get(ID, "key:bob"), Get(ID, "", original=True))


@pytest.mark.parametrize("owner", ["key:alice", None])
def test_its_owner_and_whoever_may_read_all_are_told(place, owner):
    """That it is there, or on its way."""
    (reply,) = told(place, Get(ID, owner))

    assert isinstance(reply, Found) if place[2] == "stored" else reply == Missing(spooled=True)


def test_only_its_owner_deletes_it(place):
    """From the spool as from the store; whoever deletes learns what to drop from caches."""
    foreign, own, after = told(place, Delete(ID, "key:bob"), Delete(ID, "key:alice"), Get(ID, None))

    assert (Missing(), Missing()) == (foreign, after)
    assert ("key:alice", ALICES.record.hash) == (own.owner, own.hash)
    assert [] == [path for path in place[0].rglob("*") if ID in path.name]


def test_an_image_that_is_in_the_index_only_is_taken_out_of_it(tmp_path):
    """So that retention, which goes by the index, comes to its end."""
    index = Index(tmp_path)
    index.add([ALICES.record])

    assert None is anyio.run(Carrier(tmp_path, FolderStore(tmp_path / "store"), index).forget, ID)
    assert 0 == len(index)
    index.close()
