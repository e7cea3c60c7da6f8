"""What the README and the docs say is what the code does."""

import re
import subprocess
import sys
from pathlib import Path

from server.web.errors import PROBLEMS
from server.web.metrics import Metrics
from tests.fakes_source import EmptySource

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_ten_lines_of_the_batcher_run(tmp_path):
    """The example is copied out as a stranger would copy it, and prints what it promises."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(code)

    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False)

    assert ("", str([n * n for n in range(20)])) == (ran.stderr, ran.stdout.strip())


def test_every_code_is_in_the_table_with_its_status():
    """Clients rely on codes; the README lists all of them, under the status they come with."""
    rows = re.findall(r"^\| (\d{3}[^|]*)\| (`.*`) \|$", README, re.MULTILINE)
    listed = {(code, status) for left, right in rows for code in re.findall(r"`(\w+)`", right)
              for status in re.findall(r"\d{3}", left)}  # fmt: skip

    for problem in PROBLEMS.values():
        assert (problem.code, str(problem.status)) in listed
    assert {code for code, _ in listed} == PROBLEMS.keys()


def test_every_metric_is_in_the_docs_and_no_other():
    """docs/metrics.md is the list operators build dashboards from."""
    text = (ROOT / "docs/metrics.md").read_text()
    documented = set(re.findall(r"^\| `(tureen_\w+)", text, re.MULTILINE))

    exposed = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in Metrics(EmptySource()).registry.collect()
    }

    assert exposed == documented
