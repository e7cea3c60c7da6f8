"""Pictures found, told apart and split."""

import pytest

from server.cleanup.stores import FolderStore
from server.optimize.errors import OptimizeError
from server.optimize.pictures import SOURCE, Folder, Picture, Stored, look_through, split


def folder(path, **files):
    """A folder with these files."""
    for name, data in files.items():
        (path / name.replace("__", ".")).write_bytes(data)
    return Folder(path)


def found(pictures, source=SOURCE):
    """Names and sources."""
    return {one.name: one.source for one in look_through(pictures, pictures.names(), source)}


def test_the_same_bytes_are_one_picture(tmp_path):
    """Under whatever names; and what is no picture by its name is none."""
    assert {"a.jpg": "a"} == found(folder(tmp_path, a__jpg=b"1", b__png=b"1", notes__txt=b"2"))


def test_crops_belong_to_the_picture_they_were_cut_from(tmp_path):
    """By the usual names."""
    names = {"cat-crop1.jpg": b"1", "cat_crop_2.jpg": b"2", "cat.jpg": b"3", "cat2.jpg": b"4"}
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)

    assert {"cat-crop1.jpg": "cat", "cat_crop_2.jpg": "cat", "cat.jpg": "cat", "cat2.jpg": "cat2"} == found(
        Folder(tmp_path)
    )


def test_the_images_of_a_store_are_found(tmp_path):
    """Without the records beside them."""
    store = FolderStore(tmp_path)
    for name in ("2026-11-28/a.jpg", "2026-11-28/a.json", "2026-11-29/b.png"):
        store.put(name, name.encode(), "application/octet-stream")

    assert {"2026-11-28/a.jpg": "2026-11-28/a", "2026-11-29/b.png": "2026-11-29/b"} == found(Stored(store))


def test_a_pattern_says_what_the_source_is(tmp_path):
    """Where names are of another form."""
    pictures = folder(tmp_path, a__1__jpg=b"1", a__2__jpg=b"2")

    assert {"a.1.jpg": "a", "a.2.jpg": "a"} == found(pictures, r"(\w+)\..*")


def test_a_missing_folder_is_an_error(tmp_path):
    """Not an empty one."""
    with pytest.raises(OptimizeError, match="there is no such folder"):
        Folder(tmp_path / "none").names()


def pictures(count, crops=1):
    """Of `count` sources, with so many crops each."""
    return [
        Picture(f"{source}-{crop}", str(source), f"{hash((source, crop)) & 0xFFFF:04x}{source:04}{crop}")
        for source in range(count)
        for crop in range(crops)
    ]


def test_no_source_stands_on_both_sides():
    """However many crops it has."""
    parts = split(pictures(30, crops=4))

    assert {one.source for one in parts.calibration} & {one.source for one in parts.held_out} == set()
    assert (40, 80) == (len(parts.calibration), len(parts.held_out))


def test_the_split_does_not_depend_on_the_order():
    """So the same folder calibrates the same way."""
    given = pictures(30)

    assert split(given) == split(given[::-1])
    assert split(given).digest == split(given[::-1]).digest


def test_one_picture_is_held_out():
    """There is nothing to calibrate with then."""
    assert ((), 1) == (split(pictures(1)).calibration, len(split(pictures(1)).held_out))
