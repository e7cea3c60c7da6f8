"""The file: there and back, and every reason not to count."""

import json
import os

import msgspec
import pytest

from server.fleet.layout import profile as file
from server.fleet.layout.choose import LayoutRequest, Row
from server.fleet.layout.machine import Key
from server.fleet.layout.profile import Profile, ProfileError

ALL = LayoutRequest()
KEY = Key(
    model="ab12", provider="cpu", cpu="a CPU", cpus=2, memory_gib=16, tureen="0.1.0", onnxruntime="1.31", numpy="2.4"
)
ROW = Row(workers=2, threads=1, batch=1, rate=50.5, batch_s=0.04, lone_s=0.04, cpu_s=0.041, memory=230_000_000)
PROFILE = Profile(name="plates", when="2026-11-25T16:00:00+00:00", key=KEY, rows=(ROW,))


def test_what_is_written_is_read(tmp_path):
    """In a folder that was not there, as lines that people can read, with nothing left beside it."""
    path = file.write(tmp_path / "new" / "folder", PROFILE)

    assert PROFILE == file.read(tmp_path / "new" / "folder", KEY, ALL)
    assert [path] == list(path.parent.iterdir())
    assert '      "workers": 2,' in path.read_text().splitlines()
    assert "2026-11-25" == PROFILE.date


def test_later_one_takes_the_place_of_an_earlier(tmp_path):
    """One file a model, provider and what was asked for."""
    later = msgspec.structs.replace(PROFILE, when=file.now())

    assert file.write(tmp_path, PROFILE) == file.write(tmp_path, later)
    assert later == file.read(tmp_path, KEY, ALL)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (LayoutRequest(), "ab12-cpu.json"),
        (LayoutRequest(workers=2), "ab12-cpu-workers-2.json"),
        (LayoutRequest(threads=4), "ab12-cpu-threads-4.json"),
        (LayoutRequest(1, 2), "ab12-cpu-workers-1-threads-2.json"),
    ],
)
def test_each_thing_asked_for_has_a_file_of_its_own(tmp_path, asked, name):
    """Two workers measured alone are no profile of all layouts."""
    profile = msgspec.structs.replace(PROFILE, workers=asked.workers, threads=asked.threads)

    assert name == file.write(tmp_path, profile).name
    assert profile == file.read(tmp_path, KEY, asked)


PART = msgspec.structs.replace(PROFILE, whole=False)


@pytest.mark.parametrize(
    ("there", "new", "stays"),
    [(PROFILE, PART, True), (PROFILE, PROFILE, False), (PART, PART, False), (None, PART, False)],
)
def test_first_look_takes_no_long_ones_place(tmp_path, there, new, stays):
    """One with every layout stays until there is another such."""
    if there:
        file.write(tmp_path, there)

    assert (there if stays else None) == file.better(tmp_path, new)


def test_one_that_does_not_count_is_no_better(tmp_path):
    """It was measured elsewhere."""
    file.write(tmp_path, msgspec.structs.replace(PROFILE, key=msgspec.structs.replace(KEY, cpus=64)))

    assert file.better(tmp_path, PART) is None


def test_none_is_none(tmp_path):
    """Neither a folder without one nor no folder is a mistake."""
    assert file.read(tmp_path, KEY, ALL) is None
    assert file.read(tmp_path / "absent", KEY, ALL) is None


@pytest.mark.parametrize("name", [name for name in Key.__struct_fields__ if name not in ("model", "provider")])
def test_what_was_measured_elsewhere_does_not_count(tmp_path, name):
    """Each part of the key decides, and is named with both values. Model and provider are in the file's name."""
    there = 64 if isinstance(getattr(KEY, name), int) else "another"
    file.write(tmp_path, msgspec.structs.replace(PROFILE, key=msgspec.structs.replace(KEY, **{name: there})))

    with pytest.raises(ProfileError) as caught:
        file.read(tmp_path, KEY, ALL)

    expected = f"was measured elsewhere: {name} is {there!r} there and {getattr(KEY, name)!r} here"
    assert str(caught.value).endswith(expected)


def test_profile_of_another_model_under_its_name_does_not_count(tmp_path):
    """Somebody has copied a file."""
    other = msgspec.structs.replace(KEY, model="cd34")
    file.write(tmp_path, PROFILE).rename(file.path_of(tmp_path, other, ALL))

    with pytest.raises(ProfileError, match="model is 'ab12' there and 'cd34' here"):
        file.read(tmp_path, other, ALL)


def damaged(**changes):
    return json.dumps(json.loads(msgspec.json.encode(PROFILE)) | changes)


GOOD_ROW = json.loads(msgspec.json.encode(ROW))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is damaged"),
        (msgspec.json.encode(PROFILE).decode()[:-20], "is damaged"),
        ("[]", "is damaged: Expected `object`"),
        (damaged(rows=[]), "is damaged: it has no rows"),
        (damaged(rows=[GOOD_ROW | {"workers": 0}]), "is damaged: workers, threads and batch are at least 1"),
        (damaged(rows=[GOOD_ROW | {"workers": 5000}]), r"is damaged: 5000 x .* is more than was asked for"),
        (damaged(rows=[GOOD_ROW | {"threads": 5000}]), r"is damaged: .* is more than was asked for"),
        (damaged(rows=[GOOD_ROW | {"batch": 1025}]), "is damaged: batch is at most 1024"),
        (damaged(rows=[GOOD_ROW | {"rate": -1.0}]), "is damaged: rate, batch_s and lone_s are above 0"),
        (damaged(rows=[GOOD_ROW | {"lone_s": "soon"}]), r"is damaged: Expected `float`.*lone_s"),
        (damaged(when="yesterday"), "is damaged: Invalid isoformat"),
        (damaged(format=2), "has format 2; this version reads 1"),
        (damaged(colour="red"), "is damaged: Object contains unknown field `colour`"),
    ],
)
def test_damaged_one_does_not_count(tmp_path, text, reason):
    """The reason names the file and what is wrong in it."""
    path = file.path_of(tmp_path, KEY, ALL)
    path.write_text(text)

    with pytest.raises(ProfileError, match=reason) as caught:
        file.read(tmp_path, KEY, ALL)
    assert str(caught.value).startswith(str(path))


def test_one_that_cannot_be_read_does_not_count(tmp_path):
    """It is a folder."""
    file.path_of(tmp_path, KEY, ALL).mkdir()

    with pytest.raises(ProfileError, match="cannot be read: Is a directory"):
        file.read(tmp_path, KEY, ALL)


def test_write_that_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    """The place of the file is taken by a folder that is not empty: it cannot be moved there."""
    path = file.path_of(tmp_path, KEY, ALL)
    (path / "something").mkdir(parents=True)

    with pytest.raises(OSError, match=os.strerror(21)):
        file.write(tmp_path, PROFILE)

    assert [path] == list(tmp_path.iterdir())
