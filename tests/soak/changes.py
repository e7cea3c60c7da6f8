"""1,000 changes of version under load, with golden images: nobody notices, and nothing is left behind."""

import asyncio
import shutil
import tempfile
from pathlib import Path

from server.commands.models import golden
from tests import models
from tests.end_to_end.changes import change_under_load
from tests.end_to_end.harness import Server, serving
from tests.history.footprint import look
from tests.photos import photo
from tests.soak.phase import Findings, Job
from tests.soak.servers import run as run_loop

_CHANGES, _WARM = 1000, 20
_CLIENTS = 4
_MEMORY = 10.0  # percent of what it was after the first changes
_SETTLE_S = 0.5

CARD = 'default_version = "1"\nslo = "30s"\nworkers = 1\n'


def run(job: Job) -> Findings:
    found = Findings()
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder))
        with serving("--models", folder, "--standby", "1s") as server:
            run_loop(_changed(job, server, found))
    return found


def _fill(folder: Path) -> None:
    """Three versions that answer alike, and their golden image."""
    food = folder / "food"
    models.dense(food / "1" / "model.onnx")
    for version in ("2", "3"):
        shutil.copytree(food / "1", food / version)
    (food / "model.toml").write_text(CARD)
    (food / "golden").mkdir()
    (food / "golden" / "one.jpg").write_bytes(photo(1))
    golden.record(food / "1", 0.001)


async def _changed(job: Job, server: Server, found: Findings) -> None:
    """What the first changes leave, such as code that was loaded for them, is no leak."""
    versions = ("1", "2", "3")
    await server.closing(change_under_load(server.connect, "food", versions, _WARM, job.seed, _CLIENTS))
    await _settled(server)
    before, count = look(server), job.count(_CHANGES)
    job.say(f"{count} changes", 0.05)
    serving_now = (await _state(server))["default"]
    order = (serving_now, *(version for version in versions if version != serving_now))
    outcome = await server.closing(change_under_load(server.connect, "food", order, count, job.seed + 1, _CLIENTS))
    await _settled(server)
    after = look(server)
    failed = outcome.statuses.total() - outcome.statuses[200]
    found.none(f"requests that failed, of {outcome.statuses.total():,}, under {count:,} changes", failed)
    found.none("answers from a version that was not serving", outcome.wrong)
    found.none("changes that failed", len(outcome.refused_changes))
    grown = 100.0 * (after.web.resident / before.web.resident - 1.0)
    found.at_most("memory of the web process, above its start", grown, _MEMORY, "%")
    found.none("workers more than at the start", len(after.workers) - 1)
    found.raw |= {"statuses": dict(outcome.statuses), "changes": dict(outcome.changes)}
    found.notes += [body.decode() for body in outcome.refused_changes[:5]]


async def _state(server: Server) -> dict:
    async def ask():
        return (await (await server.connect()).request("GET", "/v1/models/food")).json()

    return await server.closing(ask())


async def _settled(server: Server) -> None:
    """Until one version is left, with its one worker."""
    while True:
        view = await _state(server)
        for version in view["state"].get("loaded", ()):
            await server.closing(_unload(server, version))
        if sum("workers" in version for version in view["versions"]) == 1 and len(server.workers) == 1:
            return
        await asyncio.sleep(_SETTLE_S)


async def _unload(server: Server, version: str) -> None:
    await (await server.connect()).request("POST", f"/v1/models/food/versions/{version}/unload")
