"""What a server is started within: a small disk of its own, or without root's right to write where it may not.

Each gives the words that come before a command (`serving(within=...)`). As root and as anybody else, by namespaces.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_MOUNT = 'for folder in $1; do mount -t tmpfs -o size="$2" tmpfs "$folder" || exit 1; done; shift 2; exec "$@"'


def on_small_disks(folders: Sequence[Path], size: str) -> list[str]:
    """Each folder is an empty tmpfs of this size, which only the command sees. Their paths have no spaces."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-c", _MOUNT, "sh", " ".join(map(str, folders)), size]


def seen_by(process: subprocess.Popen, folder: Path) -> Path:
    """The folder as that process sees it."""
    return Path(f"/proc/{process.pid}/root{folder}")


def without_override() -> list[str]:
    """Permissions of files hold for root, too."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"]


def fill(folder: Path) -> Path:
    """Take all the room that is left there; the file that has it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return filler
