"""What was made once is used again, as long as the code that makes it stays the same."""

from types import ModuleType

import pytest

from benchmarks import store


@pytest.fixture
def maker(tmp_path, monkeypatch):
    """A module that makes things, and a folder of its own to keep them."""
    monkeypatch.setattr(store, "RESULTS", tmp_path / "results")
    module = ModuleType("benchmarks.makers")
    module.__file__ = str(tmp_path / "makers.py")
    (tmp_path / "makers.py").write_text("one")
    return module


def test_it_is_made_once(maker):
    """The second time it is there."""
    calls = []

    paths = [store.made(maker, "a.txt", lambda path: calls.append(path.write_text(str(len(calls))))) for _ in range(2)]

    assert paths[0] == paths[1]
    assert (1, "0") == (len(calls), paths[0].read_text())


def test_another_text_makes_it_anew_and_forgets_the_old(maker, tmp_path):
    """Nobody measures with what yesterday's code made, and nothing piles up."""
    old = store.made(maker, "a.txt", lambda path: path.write_text("old"))
    (tmp_path / "makers.py").write_text("two")

    new = store.made(maker, "a.txt", lambda path: path.write_text("new"))

    assert "new" == new.read_text()
    assert not old.exists()


def test_what_is_half_made_is_not_there(maker):
    """A maker that fails leaves nothing that could be taken for its work."""

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.made(maker, "a.txt", fail)

    assert "whole" == store.made(maker, "a.txt", lambda path: path.write_text("whole")).read_text()
