"""What is read and written: model, store, spool, certificate, keys, prediction log."""

import os
import shutil
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

from server import demo
from server.access.errors import KeyFileError
from server.access.key_file import read_keys
from server.commands.doctor.findings import Finding
from server.models.card import find_model
from server.models.errors import ModelError
from server.settings import Settings
from server.web.tls import Certificates, TlsFailed

_SOON_S = 14 * 86400
_OTHERS = 0o077  # who is not the owner


def check(settings: Settings) -> Iterator[Finding]:
    """What is wrong with the files that these settings name."""
    yield from _model(settings)
    yield from _storage(settings)
    yield from _certificate(settings)
    yield from _keys(settings)
    if log := settings.telemetry.prediction_log:
        folder = Path(log).parent
        if log != "-" and not os.access(folder, os.W_OK):
            yield Finding("prediction log", f"{folder} cannot be written to", "give this user the right to write there")


def _model(settings: Settings) -> Iterator[Finding]:
    if settings.repository.models:
        return
    path = settings.model or demo.FOLDER
    try:
        found = find_model(path).model_file
        if not os.access(found, os.R_OK):
            yield Finding("model", f"{found} cannot be read", "give this user the right to read it")
        elif not found.stat().st_size:
            yield Finding("model", f"{found} is empty", "export or copy it again")
    except (ModelError, OSError) as error:
        yield Finding("model", str(error), "tureen inspect shows how a model would be served")


def _storage(settings: Settings) -> Iterator[Finding]:
    storage = settings.storage
    if not storage.store:
        return
    if not storage.store.startswith("s3://"):
        yield from _writable("store", Path(storage.store))
    yield from _writable("spool", storage.spool_folder)
    free = shutil.disk_usage(_existing(storage.spool_folder)).free
    if free < storage.spool_bytes:
        yield Finding(
            "spool", f"its disk has {free / 1e9:.1f} GB left, and it may take {storage.spool_bytes / 1e9:.1f} GB",
            "free the disk, lower spool_bytes, or set spool_dir to a larger disk",
        )  # fmt: skip


def _writable(about: str, folder: Path) -> Iterator[Finding]:
    there = _existing(folder)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(about, f"{there} cannot be written to", "give this user the right to write there")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _certificate(settings: Settings) -> Iterator[Finding]:
    tls = settings.tls
    if not tls.tls_cert:
        return
    try:
        left_s = Certificates(tls).expires - time.time_ns() / 1e9
    except (TlsFailed, ssl.SSLError) as error:
        yield Finding("certificate", str(error), "check that certificate and key are PEM files and belong together")
        return
    if left_s < _SOON_S:
        state = "expired" if left_s < 0 else f"ends in {left_s / 86400:.0f} days"
        yield Finding("certificate", f"{tls.tls_cert} {state}", "renew it")
    key = tls.tls_key or tls.tls_cert
    if key.stat().st_mode & _OTHERS:
        yield Finding("certificate", f"others than its owner may read {key}", f"chmod 600 {key}")


def _keys(settings: Settings) -> Iterator[Finding]:
    keys = settings.auth.keys
    if keys is None:
        if not settings.is_local and not settings.auth.is_set:
            yield Finding(
                "access", f"{settings.host} is open to everybody who reaches it",
                "make keys (tureen keys add) and give --keys, or listen on 127.0.0.1 behind a proxy",
            )  # fmt: skip
        return
    try:
        if not read_keys(keys):
            yield Finding("keys", f"there is no key in {keys}: nobody may ask", "tureen keys add makes one")
    except KeyFileError as error:
        yield Finding("keys", str(error), "tureen keys writes such files; keep them readable by their owner alone")
