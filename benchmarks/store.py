"""What is made once and used again lies under benchmarks/results/, which git ignores.

It is kept by the text of the module that makes it, so that a change there never meets yesterday's file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

RESULTS = Path(__file__).parent / "results"


def made(module: ModuleType, name: str, make: Callable[[Path], object]) -> Path:
    """The file called `name`; `make` writes it, unless this very `module` has made it before."""
    assert module.__file__
    text = Path(module.__file__).read_bytes()
    family = RESULTS / module.__name__.rpartition(".")[2]
    path = family / hashlib.sha256(text).hexdigest()[:12] / name
    if not path.exists():
        _forget_others(family, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{name}.{os.getpid()}")
        make(unfinished)
        unfinished.rename(path)  # whole or not there, whoever else makes it meanwhile
    return path


def _forget_others(family: Path, kept: Path) -> None:
    for folder in family.glob("*"):
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
