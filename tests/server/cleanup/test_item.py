"""Items as files, and the names they have in the store."""

import pytest

from server.cleanup.item import Damaged, dumps, is_id, loads, original_name, record_name, when
from server.contract.ids import uuid7
from tests.server.cleanup.samples import item

AN_ID = "01a2217d-cad8-7338-afc9-12f2b482a35a"


def test_an_item_is_read_as_it_was_written():
    """Record and original, to the byte."""
    made = item()

    assert made == loads(dumps(made))


@pytest.mark.parametrize("at", [0, 5, 12, 30, -1])
def test_one_wrong_bit_is_seen(at):
    """Wherever it is."""
    data = bytearray(dumps(item()))
    data[at] ^= 1

    with pytest.raises(Damaged):
        loads(bytes(data))


@pytest.mark.parametrize("length", [0, 10, 24, -1])
def test_half_a_file_is_seen(length):
    """A machine may lose its power at any byte."""
    with pytest.raises(Damaged):
        loads(dumps(item())[:length])


def test_names_follow_from_the_id():
    """So a record is found without an index."""
    made = item(id="01a2217d-cad8-7338-afc9-12f2b482a35a", media_type="image/png")

    assert "2026-11-28/01a2217d-cad8-7338-afc9-12f2b482a35a.json" == record_name(made.record.id)
    assert "2026-11-28/01a2217d-cad8-7338-afc9-12f2b482a35a.png" == original_name(made.record)
    assert 2026 == when(made.record.id).year


@pytest.mark.parametrize("text", ["", "x", "../../etc/passwd", AN_ID.upper(), AN_ID + "0", AN_ID.replace("-", "")])
def test_what_is_no_id(text):
    """It would become part of a path."""
    assert is_id(uuid7())
    assert not is_id(text)
