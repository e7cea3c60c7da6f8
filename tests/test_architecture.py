"""Who may import whom. The rules are read off the source, so that a breach fails before it runs."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = ("batcher", "preprocess", "server")
STDLIB = tuple(sys.stdlib_module_names)


@dataclass(frozen=True)
class Rule:
    """The modules in `scope` import nothing in `never`, and nothing but `only` where that is given."""

    scope: tuple[str, ...]
    never: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    why: str = ""

    def covers(self, module: str) -> bool:
        """Tell whether the rule is about this module."""
        return is_within(module, self.scope)

    def forbids(self, imported: str) -> bool:
        """Tell whether a module in scope breaks the rule with this import."""
        return is_within(imported, self.never) or bool(self.only and not is_within(imported, self.only))


RULES = {
    "batcher is alone": Rule(
        ("batcher",),
        only=(*STDLIB, "anyio", "batcher"),
        why="it can be used in any asyncio program",
    ),
    "preprocess is alone": Rule(
        ("preprocess",),
        only=(*STDLIB, "numpy", "PIL", "pillow_heif", "preprocess"),
        never=("asyncio",),
        why="plain functions on bytes and arrays",
    ),
    "decisions are pure": Rule(
        ("batcher.scheduler", "batcher.admission", "batcher.forecast", "batcher.estimator", "batcher.margins"),
        never=("anyio", "asyncio"),
        why="they are tested as tables, without a loop or a clock",
    ),
    "dispatch knows no HTTP": Rule(
        ("server.dispatch",),
        never=("server.web", "starlette", "hypercorn", "h11"),
        why="every front end, not only HTTP, uses it",
    ),
    "tune runs no model itself": Rule(
        ("server.tune",),
        never=("server.web", "starlette", "hypercorn", "h11", "onnxruntime", "PIL", "server.inference.model"),
        why="what is measured is workers, as they serve",
    ),
    "inference knows no HTTP": Rule(
        ("server.inference",),
        never=("server.web", "server.cleanup", "starlette", "hypercorn", "h11"),
        why="a worker is a process of its own",
    ),
    "web and dispatch touch no pixel": Rule(
        ("server.web", "server.dispatch"),
        never=("onnxruntime", "numpy", "PIL", "preprocess.decode", "preprocess.tensor", "server.inference"),
        why="the event loop must not compute",
    ),
    "nothing shipped needs tests or benchmarks": Rule(
        SHIPPED,
        never=("tests", "benchmarks"),
        why="they are not in the wheel",
    ),
    "benchmarks need no tests": Rule(("benchmarks",), never=("tests",), why="only tests import tests"),
    "no pickle": Rule(
        (*SHIPPED, "tests", "benchmarks"),
        never=("pickle", "marshal", "shelve", "cloudpickle", "dill", "joblib"),
        why="what reads it runs what is in it",
    ),
}


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Tell whether the module is one of the packages or inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def modules() -> dict[str, str]:
    """Give the source of each module of the project by its name."""
    paths = [path for top in (*SHIPPED, "tests", "benchmarks") for path in sorted((ROOT / top).rglob("*.py"))]
    return {module_name(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def module_name(path: Path) -> str:
    """Give the name under which a file is imported; a package's is that of its `__init__`."""
    return ".".join(path.with_suffix("").parts)


def imports(source: str, module: str) -> Iterator[str]:
    """Give the full name of all that is imported anywhere in the source.

    `from a import b` gives `a.b`, which is right for a module `b` and harmless for a function, since a rule
    that forbids `a` forbids what is in it. Imports within functions and for type checkers count.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=origin, names=names, level=level):
                package = ".".join(module.split(".")[:-level]) if level else ""
                base = ".".join(part for part in (package, origin) if part)
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def breaches(rule: Rule, source: str, module: str) -> list[str]:
    """Give what the module imports against the rule."""
    return [imported for imported in imports(source, module) if rule.forbids(imported)]


def environment_reads(source: str) -> list[int]:
    """Give the lines that reach for the process's environment."""
    names = {"environ", "environb", "getenv", "getenvb"}
    lines = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=attr) if attr in names:
                lines.append(node.lineno)
            case ast.ImportFrom(module="os", names=aliases) if names & {alias.name for alias in aliases}:
                lines.append(node.lineno)
    return lines


# ---- The project keeps the rules ----


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_imports_keep_to_the_rule(rule):
    """No module imports what a rule keeps from it."""
    found = {
        module: bad
        for module, source in modules().items()
        if rule.covers(module) and (bad := breaches(rule, source, module))
    }

    assert found == {}, rule.why


def test_only_settings_reads_the_environment():
    """Whoever reads a variable elsewhere adds a setting that no help, error or document knows."""
    shipped = {module: source for module, source in modules().items() if is_within(module, SHIPPED)}

    readers = [module for module, source in shipped.items() if environment_reads(source)]

    assert readers == ["server.settings.load"]


def test_the_modules_the_rules_are_about_exist():
    """A rule about a module that has been renamed would hold for ever."""
    named = {name for rule in RULES.values() for name in rule.scope} - {"benchmarks"}

    assert {name for name in named if not any(is_within(module, (name,)) for module in modules())} == set()


# ---- The checker sees what it has to ----


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import server.web.app", ["server.web.app"]),
        ("import server.web as w, os", ["server.web"]),
        ("from server import web", ["server.web"]),
        ("from server.web.app import create", ["server.web.app.create"]),
        ("from ..web import app", ["server.web.app"]),
        ("from .. import web", ["server.web"]),
        ("def f():\n    import server.web", ["server.web"]),
        ("if TYPE_CHECKING:\n    import server.web", ["server.web"]),
        ("importlib.import_module('server.web')", ["server.web"]),
        ("__import__('server.web')", ["server.web"]),
        ("import server.webhooks", []),
        ("from . import pool", []),
        ("from server import settings", []),
    ],
)
def test_a_forbidden_import_is_seen(source, expected):
    """However it is written, and only then."""
    assert breaches(Rule(("server.dispatch",), never=("server.web",)), source, "server.dispatch.intake") == expected


def test_in_a_package_itself_a_dot_is_the_package():
    """`from . import x` in a package's __init__ means what is in the package."""
    assert list(imports("from . import pool", "server.dispatch.__init__")) == ["server.dispatch.pool"]


def test_what_is_not_on_a_closed_list_is_seen():
    """A package that may import only some things may import nothing else."""
    source = "import anyio.abc, asyncio, msgspec\nfrom batcher.core import Batcher"

    assert breaches(RULES["batcher is alone"], source, "batcher.x") == ["msgspec"]


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "os.getenv('A')", "from os import environ", "from os import path, getenv"],
)
def test_a_read_of_the_environment_is_seen(source):
    """In all its spellings."""
    assert environment_reads(source) != []


def test_other_uses_of_os_are_no_reads_of_the_environment():
    """The checker does not cry wolf."""
    assert environment_reads("import os\nfrom os import path\nos.getpid()\nself.environ") == []
