"""The script in docs/engine.md is copied out as a stranger would copy it, and run."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.photos import photo

PAGE = (Path(__file__).parents[1] / "docs" / "engine.md").read_text(encoding="utf-8")


def test_the_script_answers_the_photos_it_is_given(tmp_path):
    """In their order, without HTTP; and it stays short."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code)
    names = [tmp_path / f"{number}.jpg" for number in range(3)]
    for number, name in enumerate(names):
        name.write_bytes(photo(number))

    command = [sys.executable, "-P", str(script), *map(str, names)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]

    assert (0, 3) == (ran.returncode, len(answers)), ran.stderr
    assert all(1 <= answer["score"] <= 5 for answer in answers)
    assert 3 == len({answer["hash"] for answer in answers})
    assert len(code.strip().splitlines()) <= 20
