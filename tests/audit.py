"""`python -m tests.audit DATABASE`, or `make audit`: known vulnerabilities of what is locked, without a network.

DATABASE is an export of OSV (osv.dev) for PyPI: `all.zip` as it is published, or a folder of its JSON files. Fetch it
where there is a network, and carry it to where there is none.
"""

import argparse
import json
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCKS = (Path("requirements.lock"), Path("requirements-dev.lock"))
_EPILOG = "exit code: 0 nothing was found, 1 something was, 2 the audit could not be made"


class Finding(NamedTuple):
    """A locked version that an advisory names. `fixed`: the versions that are said to be without it."""

    package: str
    version: str
    advisory: str
    summary: str
    fixed: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__, epilog=_EPILOG)
    parser.add_argument("database", type=Path, help="all.zip of OSV for PyPI, or a folder of its files")
    parser.add_argument("--ignore", nargs="*", default=[], metavar="ID", help="advisories that were judged before")
    given = parser.parse_args(argv)
    locked = {name: version for path in LOCKS for name, version in read_lock(path.read_text()).items()}
    try:
        count, found = audit(locked, advisories(given.database), frozenset(given.ignore))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        print(f"audit: {given.database}: {error}", file=sys.stderr)
        return 2
    if not count:
        print(f"audit: {given.database} holds no advisory", file=sys.stderr)
        return 2
    for one in found:
        print(f"{one.package} {one.version}  {one.advisory}  fixed in {', '.join(one.fixed) or '-'}  {one.summary}")
    print(f"{len(locked)} packages, {count} advisories, {len(found)} findings")
    return 1 if found else 0


def read_lock(text: str) -> Mapping[str, str]:
    """The version of each package in a lock file."""
    pairs = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pairs}


def advisories(database: Path) -> Iterator[Mapping[str, Any]]:
    """All of a database. Raises `OSError`, `ValueError`, `zipfile.BadZipFile`."""
    if database.is_dir():
        for path in sorted(database.rglob("*.json")):
            yield json.loads(path.read_bytes())
        return
    with zipfile.ZipFile(database) as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                yield json.loads(archive.read(name))


def audit(
    locked: Mapping[str, str], database: Iterator[Mapping[str, Any]], ignored: frozenset[str] = frozenset()
) -> tuple[int, list[Finding]]:
    """How many advisories there are, and those that name a locked version."""
    count, found = 0, []
    for advisory in database:
        count += 1
        if "withdrawn" in advisory or ignored & {advisory["id"], *advisory.get("aliases", ())}:
            continue
        for affected in advisory.get("affected", ()):
            package = affected.get("package", {})
            name = canonicalize_name(package.get("name", ""))
            if package.get("ecosystem") == "PyPI" and name in locked and names(affected, locked[name]):
                found.append(Finding(name, locked[name], advisory["id"], advisory.get("summary", ""), _fixed(affected)))
                break
    return count, sorted(found)


def names(affected: Mapping[str, Any], version: str) -> bool:
    """Whether an entry of an advisory is about this version: it lists it, or has it in a range."""
    if version in affected.get("versions", ()):
        return True
    return any(_within(one["events"], version) for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM")


def _within(events: Sequence[Mapping[str, str]], version: str) -> bool:
    """As the OSV schema says: events in the order of versions, each of which switches."""
    at, inside = Version(version), False
    for event in sorted(events, key=_order):
        for kind, bound in event.items():
            if kind == "introduced" and (bound == "0" or at >= _version(bound)):
                inside = True
            elif (kind == "fixed" and at >= _version(bound)) or (kind == "last_affected" and at > _version(bound)):
                inside = False
    return inside


def _order(event: Mapping[str, str]) -> tuple[Version, bool]:
    ((kind, bound),) = event.items()
    return _version(bound), kind == "introduced"


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")  # advisories hold a few that are none: then too much is found, not too little


def _fixed(affected: Mapping[str, Any]) -> tuple[str, ...]:
    events = [event for one in affected.get("ranges", ()) if one["type"] == "ECOSYSTEM" for event in one["events"]]
    return tuple(event["fixed"] for event in events if "fixed" in event)


if __name__ == "__main__":
    raise SystemExit(main())
