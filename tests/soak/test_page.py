"""The page of measurements that `make soak ARGS=--docs` writes."""

import json

from tests.soak.page import write_page


def test_missed_goals_stand_out_and_figures_without_a_goal_are_left_out(tmp_path):
    """What must be 0 and is 0 is only counted."""
    promises = [
        {"what": "lost", "measured": "0", "goal": "0", "kept": True},
        {"what": "late", "measured": "0", "goal": "0", "kept": True},
        {"what": "wrong", "measured": "3", "goal": "0", "kept": False},
        {"what": "p99", "measured": "4 ms", "goal": "<= 5 ms", "kept": True},
        {"what": "rate", "measured": "9/s", "goal": "", "kept": None},
    ]
    phase = {"phase": "idle", "when": "2026-11-26T03:54:00", "seed": 7, "scale": 1, "machine": {"CPU": "X"}}
    (tmp_path / "idle.json").write_text(json.dumps({**phase, "promises": promises}))

    write_page(tmp_path / "page.md", tmp_path)

    assert (tmp_path / "page.md").read_text().splitlines()[-3:] == [
        "CPU: X; last run 2026-11-26.",
        "",
        "- **`idle`** (seed 7): 2 kinds of breach never happened; **missed: wrong 3 (0)**; p99 4 ms (<= 5 ms).",
    ]
