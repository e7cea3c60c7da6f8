"""The page of attacks names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "attacks.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_the_page_names_exists(file, name):
    """In the file that it names."""
    found = ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))

    assert name in {one.name for one in found if isinstance(one, ast.FunctionDef)}


def test_each_attack_has_a_test():
    """Every row of the table names one at least."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]

    assert [] == [row for row in rows if "::test_" not in row.rpartition(" | ")[2]]
    assert len(rows) > 30
