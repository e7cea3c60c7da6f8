"""Who imports whom, read off the source: the graph of a project's modules, its circles, and what a module reaches."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Graph = Mapping[str, frozenset[str]]
"""What each module imports directly: modules of the project by their own name, all else as written."""


def modules(root: Path, tops: tuple[str, ...]) -> dict[str, str]:
    """Give the source of each module under the top-level folders by its name; a package's name is its folder's."""
    paths = [path for top in tops for path in sorted((root / top).rglob("*.py"))]
    return {module_name(path.relative_to(root)): path.read_text(encoding="utf-8") for path in paths}


def module_name(path: Path) -> str:
    """Give the name under which a file is imported."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Tell whether the module is one of the packages or inside one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports(source: str, module: str, *, package: bool = False) -> Iterator[str]:
    """Give the full name of all that is imported anywhere in the source, within functions and for type checkers, too.

    `from a import b` gives `a.b`. `package`: the source is that of an `__init__`, so a dot means the module itself.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=origin, names=names, level=level):
                above = level - 1 if package else level
                parts = module.split(".")
                base = ".".join(parts[: len(parts) - above]) if level else ""
                yield from (".".join(filter(None, (base, origin, alias.name))) for alias in names)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def graph(sources: Mapping[str, str]) -> Graph:
    """Give the import graph of the sources. A name from a module counts as that module."""
    packages = {name.rpartition(".")[0] for name in sources}

    def resolve(name: str) -> str:
        longest = name
        while longest and longest not in sources:
            longest = longest.rpartition(".")[0]
        return longest or name

    return {
        module: frozenset(resolve(name) for name in imports(source, module, package=module in packages)) - {module}
        for module, source in sources.items()
    }


def reach(edges: Graph, start: str) -> dict[str, tuple[str, ...]]:
    """Give all that a module imports, directly or through others, each with the shortest way to it."""
    ways: dict[str, tuple[str, ...]] = {start: (start,)}
    todo = [start]
    for module in todo:
        for imported in sorted(edges.get(module, ())):
            if imported not in ways:
                ways[imported] = (*ways[module], imported)
                todo.append(imported)
    del ways[start]
    return ways


def circle(edges: Graph) -> list[str]:
    """Give one circle of imports, its first module again at the end; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def grouped(edges: Graph, packages: tuple[str, ...]) -> Graph:
    """Give the graph of the packages: one imports another if any of its modules does."""
    found: dict[str, set[str]] = {package: set() for package in packages}
    for module, imported in edges.items():
        for package in packages:
            if is_within(module, (package,)):
                found[package] |= {other for other in packages if any(is_within(one, (other,)) for one in imported)}
    return {package: frozenset(others - {package}) for package, others in found.items()}
