"""References, and the file that each lies in."""

import pytest

from server.drift.reference import FILE, BadReference, Look, load, reference_of, save

LOOKS = [Look(tuple(0.1 * at + number for at in range(9)), f"class {number % 40}") for number in range(600)]


def test_a_reference_is_saved_with_its_version(tmp_path):
    """And read back the same."""
    reference = reference_of(LOOKS, "2026-11-28T12:00:00+00:00")
    save(tmp_path, reference)

    assert reference == load(tmp_path)
    assert [FILE] == [path.name for path in tmp_path.iterdir()]


def test_rare_classes_count_together():
    """Twenty are told apart."""
    assert 21 == len(reference_of(LOOKS, "").classes)
    assert 600 == sum(reference_of(LOOKS, "").classes.values())


def test_few_images_are_no_reference():
    """Chance would be taken for how things are."""
    with pytest.raises(BadReference, match="at least 500"):
        reference_of(LOOKS[:499], "")


def test_a_version_need_not_have_one(tmp_path):
    """Then nothing is compared."""
    assert load(tmp_path) is None


@pytest.mark.parametrize("data", [b"", b"{}", b'{"format":2,"made":"","looks":1,"numbers":{"a":[1]},"classes":{}}'])
def test_a_damaged_file_is_named(tmp_path, data):
    """It is not taken for a reference."""
    (tmp_path / FILE).write_bytes(data)

    with pytest.raises(BadReference, match=FILE):
        load(tmp_path)
