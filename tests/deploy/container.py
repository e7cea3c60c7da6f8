"""Containers for the tests: images built from the shipped file, on a base made from Debian's packages."""

import contextlib
import json
import os
import socket
import subprocess
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
BASE = "localhost/tureen-base:13"
IMAGE = "localhost/tureen:test"
_PACKAGES = "python3,python3-venv,ca-certificates,libstdc++6"
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
"""


class Podman:
    """The `podman` command with a configuration that works inside a container, too."""

    def __init__(self, folder: Path) -> None:
        configuration = folder / "containers.conf"
        configuration.write_text(_CONFIGURATION)
        self.environment = os.environ | {"CONTAINERS_CONF": str(configuration)}
        self._folder = folder

    def __call__(self, *arguments: str, check: bool = True, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["podman", *arguments], env=self.environment, capture_output=True, text=True, timeout=timeout_s
        )
        assert done.returncode == 0 or not check, done.stderr[-2000:]
        return done

    def build(self, *arguments: str) -> None:
        """Build `IMAGE` from the shipped file; the base stands in for the one that would be pulled."""
        self.build_file(ROOT / "deploy" / "container" / "Dockerfile", IMAGE, ROOT, *arguments)

    def build_file(self, file: Path, image: str, folder: Path, *arguments: str) -> None:
        """Build an image from a file that takes its base as an argument."""
        if self("image", "exists", BASE, check=False).returncode:
            archive = self._folder / "base.tar"
            subprocess.run(
                ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", "trixie", str(archive)],
                check=True,
            )
            self("import", "-q", str(archive), BASE)
            archive.unlink()
        mounts = [f"--volume={path}:{path}:ro" for path in _what_pip_needs()]
        self("build", "--network=host", "--format=docker", f"--build-arg=BASE={BASE}", *mounts, *arguments,
             "-f", str(file), "-t", image, str(folder))  # fmt: skip

    @contextlib.contextmanager
    def running(self, *arguments: str, command=()):
        """A container that serves, on a free port of this machine, as strict as it can be; removed at the end."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        strict = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--network=host")
        settings = (f"--env=TUREEN_PORT={port}", "--env=TUREEN_HOST=127.0.0.1")
        name = self("run", "-d", *strict, *settings, *arguments, IMAGE, *command).stdout.strip()
        try:
            yield Container(self, name, port)
        finally:
            self("rm", "-f", "-t", "0", name)


class Container:
    """One that runs."""

    def __init__(self, podman: Podman, name: str, port: int) -> None:
        self.podman = podman
        self.name = name
        self.port = port

    def wait_ready(self) -> str:
        """Follow the log up to the start-up block; the log so far."""
        with subprocess.Popen(
            ["podman", "logs", "-f", self.name], env=self.podman.environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as follow:  # fmt: skip
            lines = []
            for line in follow.stdout:
                lines.append(line)
                if "curl --data-binary" in line:
                    break
            follow.kill()
        return "".join(lines)

    def post(self, image: bytes) -> dict:
        """The answer to one image."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/images", image, timeout=30) as reply:
            return json.load(reply)

    def inspect(self, form: str) -> str:
        """One field of what podman knows."""
        return self.podman("inspect", "--format", form, self.name).stdout.strip()


def _what_pip_needs() -> list[Path]:
    """Certificates, and where this machine's pip is told to look for packages, if it is told."""
    listed = subprocess.run(["python3", "-m", "pip", "config", "debug"], capture_output=True, text=True).stdout
    files = {Path(line.split(",")[0].strip()) for line in listed.splitlines() if ", exists: True" in line}
    words = " ".join(file.read_text() for file in files).split()
    folders = {Path(word.removeprefix("file://")) for word in words if word.startswith(("/", "file:///"))}
    roots = {Path(*folder.parts[:3]) for folder in folders if folder.is_dir()}  # an index lies beside its files
    return [
        path for path in (Path("/etc/ssl/certs"), *files, *folders, *roots) if path.exists() and path.suffix != ".crt"
    ]
