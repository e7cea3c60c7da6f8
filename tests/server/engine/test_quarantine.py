"""What has brought down workers stays out for a while, and no longer."""

from server.engine.quarantine import Quarantine


def test_content_is_kept_out_for_ten_minutes():
    """Then it may be tried again: the cause may have been mended."""
    now = 0.0
    quarantine = Quarantine(None, lambda: now)
    quarantine.add("a")

    now = 599.0
    assert "a" in quarantine
    assert "b" not in quarantine
    now = 600.0
    assert "a" not in quarantine


def test_oldest_makes_room():
    """It holds a thousand at most, whatever comes."""
    quarantine = Quarantine(None, lambda: 0.0)
    for n in range(1001):
        quarantine.add(str(n))

    assert "0" not in quarantine
    assert "1" in quarantine
    assert "1000" in quarantine
