"""The audit finds what an advisory names among what is locked, and nothing else."""

import json
import zipfile

import pytest

from tests.audit import audit, main, read_lock


def advisory(id_="PYSEC-1", name="Pillow", events=({"introduced": "0"}, {"fixed": "12.0"}), **others):
    """One as OSV publishes it."""
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}]
    return {
        "id": id_, "summary": "bad", "affected": [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}],
        **others,
    }  # fmt: skip


def found(version, *database, ignored=()):
    """Give the ids of what is found of Pillow in this version."""
    return [one.advisory for one in audit({"pillow": version}, iter(database), frozenset(ignored))[1]]


@pytest.mark.parametrize(
    ("version", "events", "expected"),
    [
        ("11.3", ({"introduced": "0"}, {"fixed": "12.0"}), True),
        ("12.0", ({"introduced": "0"}, {"fixed": "12.0"}), False),
        ("12.0rc1", ({"introduced": "0"}, {"fixed": "12.0"}), True),
        ("9.10", ({"introduced": "9.2"}, {"fixed": "9.9"}), False),
        ("9.9", ({"introduced": "9.2"}, {"last_affected": "9.9"}), True),
        ("10.0", ({"introduced": "9.2"}, {"last_affected": "9.9"}), False),
        ("3.0", ({"introduced": "0"}, {"fixed": "2.0"}, {"introduced": "3.0"}, {"fixed": "3.1"}), True),
        ("2.5", ({"introduced": "3.0"}, {"fixed": "3.1"}, {"introduced": "0"}, {"fixed": "2.0"}), False),
        ("99", ({"introduced": "1.0"},), True),
    ],
)
def test_a_range_is_read_as_osv_means_it(version, events, expected):
    """Versions are compared as versions, in whatever order the events stand."""
    assert expected == bool(found(version, advisory(events=events)))


def test_other_packages_withdrawn_and_ignored_ones_are_left_out():
    """By id, or by an alias such as a CVE."""
    assert [] == found("11.0", advisory(name="pillow-heif"))
    assert [] == found("11.0", advisory(withdrawn="2026-01-01T00:00:00Z"))
    assert [] == found("11.0", advisory(aliases=["CVE-2026-1"]), ignored={"CVE-2026-1"})
    assert ["PYSEC-1"] == found("11.0", advisory(name="PILLOW"))


def test_a_lock_is_read_with_its_extras_and_markers():
    """Names as package indexes compare them."""
    text = "Foo_Bar[x,y]==1.0 ; os_name == 'nt' \\\n    --hash=sha256:0\n# via\nbaz==2.0.1 \\\n    --hash=sha256:1"

    assert {"foo-bar": "1.0", "baz": "2.0.1"} == read_lock(text)


@pytest.mark.parametrize(("name", "code"), [("pillow", 1), ("no-such-package", 0)])
def test_the_command_judges_the_locks_by_a_file(tmp_path, capsys, name, code):
    """It says what it has found, and by how many advisories."""
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(advisory(name=name, events=({"introduced": "0"},))))

    assert code == main([str(path)])
    assert f"1 advisories, {code} findings" in capsys.readouterr().out


def test_a_database_that_is_none_is_no_clean_bill(tmp_path):
    """Nor is one that is empty."""
    (tmp_path / "not.zip").write_text("x")
    (tmp_path / "empty").mkdir()

    assert [2, 2, 2] == [main([str(tmp_path / name)]) for name in ("not.zip", "empty", "missing.zip")]
