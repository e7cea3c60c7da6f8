"""What is kept in memory, for how long, and what makes room."""

from server.engine.cache.entry import Entry, Key
from server.engine.cache.memory import MemoryCache


def key(content, **others):
    fields = {"model": "m", "version": "1", "digest": "d", "recipe": "r", "variant": ("answer",), "owner": ""}
    return Key(content=content, **{**fields, **others})


ENTRY = Entry(b"s", b"x" * 100)


def cache(entries, ttl_s=10.0, clock=lambda: 0.0):
    return MemoryCache(entries * ENTRY.nbytes, ttl_s, clock)


def test_what_is_kept_is_given_back():
    """As it was put, and only under its own key."""
    kept = cache(2)
    kept.put(key("a"), ENTRY, 7)

    assert (ENTRY, None) == (kept.get(key("a")), kept.get(key("b")))
    assert (True, False) == (kept.has_size(7), kept.has_size(8))


def test_a_new_version_never_sees_old_answers():
    """Nor another file, recipe, variant or owner."""
    kept = cache(2)
    kept.put(key("a"), ENTRY, 7)
    others = ({name: "other"} for name in ("model", "version", "digest", "recipe", "owner"))

    assert 5 * [None] == [kept.get(key("a", **other)) for other in others]
    assert kept.get(key("a", variant=("tensors",))) is None


def test_the_least_recently_used_makes_room():
    """The bytes it takes never exceed what was given."""
    kept = cache(2)
    kept.put(key("a"), ENTRY, 1)
    kept.put(key("b"), ENTRY, 2)
    kept.get(key("a"))
    kept.put(key("c"), ENTRY, 3)

    assert (ENTRY, None, ENTRY) == (kept.get(key("a")), kept.get(key("b")), kept.get(key("c")))
    assert (2 * ENTRY.nbytes, False) == (kept.nbytes, kept.has_size(2))


def test_what_is_larger_than_the_cache_is_not_kept():
    """And throws nothing else out."""
    kept = cache(1)
    kept.put(key("a"), ENTRY, 1)
    kept.put(key("b"), Entry(b"s", b"x" * 10_000), 2)

    assert (ENTRY, None) == (kept.get(key("a")), kept.get(key("b")))


def test_nothing_is_kept_for_ever():
    """Past its time an entry is gone, with its bytes."""
    now = 0.0
    kept = cache(2, 10.0, lambda: now)
    kept.put(key("a"), ENTRY, 1)
    now = 10.0

    assert (None, 0, False) == (kept.get(key("a")), kept.nbytes, kept.has_size(1))


def test_content_is_forgotten_for_its_owner():
    """By whatever model it was answered; the same content of somebody else stays."""
    kept = cache(4)
    for one in (key("a"), key("a", version="2"), key("a", owner="o"), key("b")):
        kept.put(one, ENTRY, 1)

    assert 2 == kept.forget("a", "")
    assert 2 == len(kept)
