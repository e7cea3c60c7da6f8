"""Who may import whom. The rules are read off the source, so that a breach fails before it runs."""

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.import_graph import Graph, circle, graph, grouped, imports, is_within, modules, reach

ROOT = Path(__file__).parents[1]
SHIPPED = ("batcher", "preprocess", "server")
ALL = (*SHIPPED, "tests", "benchmarks")
STDLIB = tuple(sys.stdlib_module_names)

LAYERS: tuple[tuple[str, ...], ...] = (
    ("batcher", "preprocess"),
    ("server.process", "server.demo", "server.statistics", "server.client", "server.units"),
    ("server.settings",),
    ("server.contract",),
    ("server.models", "server.access", "server.queues", "server.telemetry"),
    ("server.drift",),
    ("server.fleet", "server.inference", "server.cleanup", "server.repository"),
    ("server.engine", "server.optimize"),
    ("server.experiments", "server.consume"),
    ("server.rollout",),
    ("server.web",),
    ("server.supervise", "server.aws_lambda"),
    ("server.commands",),
    ("server.cli",),
    ("server.__main__",),
)
"""From the bottom up. A package imports from layers below its own, never from above, nor from beside it."""
PACKAGES = tuple(package for layer in LAYERS for package in layer)


@dataclass(frozen=True)
class Rule:
    """The modules in `scope` reach nothing in `never`, by whatever way; and import nothing but `only`, where given."""

    scope: tuple[str, ...]
    never: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    why: str = ""


HTTP = ("server.web", "starlette", "hypercorn", "uvicorn", "h11", "httptools")

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
    "client is alone": Rule(
        ("server.client",),
        only=(*STDLIB, "anyio", "httpx", "server.client"),
        why="it is a distribution of its own",
    ),
    "decisions are pure": Rule(
        ("batcher.scheduling",),
        only=(*(name for name in STDLIB if name not in ("asyncio", "time", "threading")), "batcher.scheduling"),
        why="they are tested as tables, without a loop or a clock",
    ),
    "only the front end knows HTTP": Rule(
        (
            "server.contract",
            "server.models",
            "server.repository",
            "server.fleet",
            "server.inference",
            "server.engine",
            "server.optimize",
            "server.consume",
        ),
        never=HTTP,
        why="every front end, not only HTTP, uses them",
    ),
    "layouts are measured by workers": Rule(
        ("server.fleet", "server.commands.tune"),
        never=("onnxruntime", "PIL", "server.inference"),
        why="what is measured is workers, as they serve",
    ),
    "the event loop computes nothing": Rule(
        ("server.web", "server.engine"),
        never=("onnxruntime", "PIL", "preprocess.decode", "preprocess.tensor", "server.inference"),
        why="pixels and models are the workers' business",
    ),
    "nothing shipped needs tests or benchmarks": Rule(
        SHIPPED,
        never=("tests", "benchmarks"),
        why="they are not in the wheel",
    ),
    "benchmarks need no tests": Rule(("benchmarks",), never=("tests",), why="only tests import tests"),
    "no pickle": Rule(
        ALL,
        never=("pickle", "marshal", "shelve", "cloudpickle", "dill", "joblib"),
        why="what reads it runs what is in it",
    ),
}


def broken(rule: Rule, edges: Graph) -> list[str]:
    """Give the ways by which modules break the rule, as `a -> b -> c`."""
    ways = []
    for module in edges:
        if not is_within(module, rule.scope):
            continue
        ways += [way for name, way in reach(edges, module).items() if is_within(name, rule.never)]
        ways += [(module, name) for name in edges[module] if rule.only and not is_within(name, rule.only)]
    return [" -> ".join(way) for way in ways]


def climbing(edges: Graph, layers: tuple[tuple[str, ...], ...]) -> list[str]:
    """Give the ways by which modules reach what stands above or beside their own package, as `a -> b -> c`."""
    places = {package: rank for rank, layer in enumerate(layers) for package in layer}

    def place(module: str) -> tuple[int, str] | None:
        return next(((rank, package) for package, rank in places.items() if is_within(module, (package,))), None)

    ways = []
    for module in edges:
        if not (own := place(module)):
            continue
        for name, way in reach(edges, module).items():
            if (other := place(name)) and other[1] != own[1] and other[0] >= own[0]:
                ways.append(" -> ".join(way))
    return ways


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


@pytest.fixture(scope="module")
def sources() -> Mapping[str, str]:
    """Give the source of each module of the project by its name."""
    return modules(ROOT, ALL)


@pytest.fixture(scope="module")
def edges(sources: Mapping[str, str]) -> Graph:
    """Give the project's import graph."""
    return graph(sources)


# ---- The project keeps the rules ----


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_imports_keep_to_the_rule(rule, edges):
    """No module reaches what a rule keeps from it, directly or through others."""
    assert broken(rule, edges) == [], rule.why


def test_imports_run_downwards(edges):
    """No package reaches one above or beside it, directly or through others."""
    assert climbing(edges, LAYERS) == []


def test_packages_form_no_circle(edges):
    """No package needs another that needs it."""
    assert circle(grouped(edges, PACKAGES)) == []


def test_the_modules_of_the_batcher_form_no_circle(edges):
    """Not even for a type annotation: each can be read, and tested, after those it imports."""
    own = {module: {name for name in needed if is_within(name, ("batcher",))} for module, needed in edges.items()}

    assert circle({module: needed for module, needed in own.items() if is_within(module, ("batcher",))}) == []


def test_modules_form_no_circle(edges):
    """Not within a package either, nor for type checkers alone."""
    shipped = {module: imported for module, imported in edges.items() if is_within(module, SHIPPED)}

    assert circle(shipped) == []


def test_every_shipped_module_has_a_layer(sources):
    """A module outside all layers could import anything."""
    shipped = [module for module in sources if is_within(module, SHIPPED) and module != "server"]

    assert [module for module in shipped if not is_within(module, PACKAGES)] == []


def test_only_settings_reads_the_environment(sources):
    """Whoever reads a variable elsewhere adds a setting that no help, error or document knows.

    Two others read what is no setting: what systemd passes, and where a health check finds the server.
    """
    readers = [module for module, source in sources.items() if is_within(module, SHIPPED) and environment_reads(source)]

    assert {"server.commands.ready", "server.process.systemd", "server.settings.load"} == {*readers}


def test_the_modules_the_rules_are_about_exist(sources):
    """A rule about a module that has been renamed would hold for ever."""
    named = {name for rule in RULES.values() for name in rule.scope} | {*PACKAGES}

    assert {name for name in named if not any(is_within(module, (name,)) for module in sources)} == set()


# ---- The checker sees what it has to ----


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import server.web.app", ["server.web.app"]),
        ("import server.web as w, os", ["server.web", "os"]),
        ("from server import web", ["server.web"]),
        ("from server.web.app import create", ["server.web.app.create"]),
        ("from ..web import app", ["server.web.app"]),
        ("from .. import web", ["server.web"]),
        ("def f():\n    import server.web", ["server.web"]),
        ("if TYPE_CHECKING:\n    import server.web", ["server.web"]),
        ("importlib.import_module('server.web')", ["server.web"]),
        ("__import__('server.web')", ["server.web"]),
        ("from . import pool", ["server.fleet.pool"]),
    ],
)
def test_an_import_is_seen_however_it_is_written(source, expected):
    """By its full name, wherever in the module it stands."""
    assert list(imports(source, "server.fleet.worker")) == expected


def test_in_a_package_itself_a_dot_is_the_package():
    """`from . import x` in a package's __init__ means what is in the package."""
    assert list(imports("from . import pool", "server.fleet", package=True)) == ["server.fleet.pool"]


def test_a_planted_import_upwards_is_seen_through_two_hops():
    """A helper in between hides nothing."""
    planted = graph(
        {
            "server.fleet.pool": "from server.fleet import helper",
            "server.fleet.helper": "def f():\n    from server.engine.engine import Engine",
            "server.engine.engine": "class Engine: ...",
        }
    )

    assert climbing(planted, LAYERS) == [
        "server.fleet.pool -> server.fleet.helper -> server.engine.engine",
        "server.fleet.helper -> server.engine.engine",
    ]


def test_a_planted_circle_of_packages_is_seen():
    """However many modules it runs through."""
    planted = graph(
        {
            "server.models.card": "from server.fleet.pool import Pool",
            "server.fleet.pool": "import server.engine.intake",
            "server.engine.intake": "from server.models import render",
            "server.models.render": "",
        }
    )

    found = circle(grouped(planted, PACKAGES))

    assert {*found} == {"server.models", "server.fleet", "server.engine"}


def test_a_planted_circle_of_modules_is_seen():
    """Also where one of its imports is for the type checker, and another within a function."""
    planted = graph(
        {
            "batcher.a": "if TYPE_CHECKING:\n    from batcher.b import B",
            "batcher.b": "def f():\n    import batcher.c",
            "batcher.c": "from batcher import a",
        }
    )

    assert {*circle(planted)} == {"batcher.a", "batcher.b", "batcher.c"}


def test_a_forbidden_package_is_seen_through_two_hops():
    """A rule is about all that is reached, not about what the module itself names."""
    planted = graph({"server.web.app": "import server.fleet.x", "server.fleet.x": "import onnxruntime.capi"})

    assert broken(RULES["the event loop computes nothing"], planted) == [
        "server.web.app -> server.fleet.x -> onnxruntime.capi"
    ]


def test_what_is_not_on_a_closed_list_is_seen():
    """A package that may import only some things may import nothing else."""
    planted = graph({"batcher.x": "import anyio.abc, asyncio, msgspec\nfrom batcher.batcher import Batcher"})

    assert broken(RULES["batcher is alone"], planted) == ["batcher.x -> msgspec"]


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
