"""The state of a model: what is served, how it changes, and that two writers cannot both win."""

import pytest

from server.repository.errors import Conflict, StateError, StoreFailed
from server.repository.state import ModelState, dump, parse, promoted, rolled_back, with_loaded, without
from server.repository.store import FileStates

NOW, STANDBY_S = 1000.0, 60.0
ONE = ModelState(default="1")


def test_a_promoted_version_answers_and_the_old_one_stands_by():
    """For as long as the operator wants."""
    state = promoted(with_loaded(ONE, "2"), "2", NOW, STANDBY_S)

    assert ("2", "1", ()) == (state.default, state.previous, state.loaded)
    assert ("2", "1") == state.wanted(NOW + STANDBY_S - 1)
    assert ("2",) == state.wanted(NOW + STANDBY_S)


def test_a_rollback_returns_to_the_version_before():
    """And can be taken back itself."""
    state = rolled_back(promoted(ONE, "2", NOW, STANDBY_S), NOW, STANDBY_S)

    assert ("1", "2") == (state.default, state.previous)
    assert "2" == rolled_back(state, NOW, STANDBY_S).default


def test_without_a_version_before_there_is_no_rollback():
    """It says so."""
    with pytest.raises(StateError, match="no previous version"):
        rolled_back(ONE, NOW, STANDBY_S)


def test_the_default_is_not_let_go_of():
    """Another one has to be promoted first."""
    with pytest.raises(StateError, match="promote another"):
        without(ONE, "1")


def test_a_version_that_is_let_go_of_is_no_longer_wanted():
    """Whether it was loaded beside the default, or stood by."""
    assert ("1",) == without(with_loaded(ONE, "2"), "2").wanted(NOW)
    assert ("2",) == without(promoted(ONE, "2", NOW, STANDBY_S), "1").wanted(NOW)


@pytest.mark.parametrize("change", [lambda s: with_loaded(s, "1"), lambda s: promoted(s, "1", NOW, STANDBY_S)])
def test_what_changes_nothing_is_the_same_state(change):
    """So that nothing is written for it."""
    assert ONE == change(ONE)


def test_a_state_survives_its_file():
    """What a rollout keeps in it, too."""
    state = ModelState(default="1", loaded=("2",), rollout={"step": 3})

    assert state == parse(dump(state), "x")


@pytest.mark.parametrize("data", [b"", b"[]", b'{"default": 3}', b'{"format": 2}'])
def test_a_damaged_state_is_no_state(data):
    """Nothing is served by a guess."""
    with pytest.raises(StoreFailed, match=r"state\.json"):
        parse(data, "state.json")


def test_of_two_writers_the_second_is_told(tmp_path):
    """It has to read again, and decide anew."""
    (tmp_path / "food").mkdir()
    one, other = FileStates(tmp_path), FileStates(tmp_path)
    _, tag = one.read("food")
    one.write("food", ModelState(generation=1, default="2"), tag)

    with pytest.raises(Conflict):
        other.write("food", ModelState(generation=1, default="3"), tag)
    assert "2" == other.read("food").state.default


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path):
    """And no file beside it."""
    with pytest.raises(StoreFailed):
        FileStates(tmp_path).write("food", ONE, "")
    assert [] == list(tmp_path.iterdir())
