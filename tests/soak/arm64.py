"""arm64, emulated: the same images, prepared and answered by the same code, bit for bit. Correctness only.

Debian's packages and the wheels that the lock names for aarch64 are fetched into build/arm64, some 500 MB, once.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from server import demo
from tests.photos import photo
from tests.soak.phase import Findings, Job

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "arm64"
LOCK = ROOT / "deploy" / "container" / "requirements-cpu.lock"
_NEEDED = (
    "annotated-types", "anyio", "flatbuffers", "idna", "msgspec", "numpy", "onnxruntime", "packaging", "pillow",
    "protobuf", "pydantic", "pydantic-core", "pydantic-settings", "python-dotenv", "structlog", "typing-extensions",
    "typing-inspection", "xxhash",
)  # fmt: skip
_LIBRARIES = "python3,libstdc++6,libexpat1,zlib1g,libssl3t64,libffi8,libbz2-1.0,liblzma5,libsqlite3-0,ca-certificates"
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014")
_IMAGES = 4


def run(job: Job) -> Findings:
    found = Findings()
    job.say("fetching", 0.0)
    _fetched()
    files = []
    for seed in range(job.count(_IMAGES)):
        files.append(BUILD / f"{seed}.jpg")
        files[-1].write_bytes(photo(seed, 640, 480))
    words = ["-m", "tests.soak.arm64_probe", str(demo.FOLDER), *map(str, files)]
    job.say("emulating", 0.3)
    python = [
        str(BUILD / "host/usr/bin/qemu-aarch64"),
        "-L",
        str(BUILD / "root"),
        str(BUILD / "root/usr/bin/python3.13"),
    ]
    there = _answers([*python, *words], str(BUILD / "packages"))
    here = _answers([sys.executable, *words])
    found.holds("machine", there["machine"], "aarch64", there["machine"] == "aarch64")
    differing = [name for name, each in here["images"].items() if there["images"][name] != each]
    found.none(f"images whose tensor or answer differs, of {len(files)}", len(differing))
    found.raw |= {"here": here, "there": there}
    return found


def _fetched() -> None:
    """The emulator, an arm64 root and the wheels."""
    if (BUILD / "complete").exists():
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    extract = ["mmdebstrap", "--quiet", "--variant=extract"]
    subprocess.run([*extract, "--include=qemu-user", "trixie", str(BUILD / "host")], check=True)
    subprocess.run([*extract, "--arch=arm64", f"--include={_LIBRARIES}", "trixie", str(BUILD / "root")], check=True)
    if not (BUILD / "root" / "lib").exists():
        (BUILD / "root" / "lib").symlink_to("usr/lib")
    platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_aarch64")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(BUILD / "packages"),
               *platforms, "--only-binary=:all:", "--python-version", "3.13", "--implementation", "cp"]  # fmt: skip
    subprocess.run([*command, *_pinned()], check=True)
    (BUILD / "complete").touch()


def _pinned() -> list[str]:
    """The locked versions, those for the newest Python where there are several."""
    text = LOCK.read_text()
    return [re.findall(rf"^({re.escape(name)}==\S+)", text, re.MULTILINE)[-1] for name in _NEEDED]


def _answers(command: list[str], packages: str = "") -> dict:
    paths = os.pathsep.join(filter(None, [str(ROOT), packages]))
    environ = os.environ | {"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])
