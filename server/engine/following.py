"""Following what is to be served: the states, which other replicas change too, and with `--watch` the folder."""

from collections.abc import Awaitable, Callable

import anyio
import anyio.to_thread
import structlog
from anyio.abc import TaskGroup

from server.engine.known import Known, Mark
from server.engine.loading import LoadFailed
from server.engine.models import Models
from server.engine.table import Entry
from server.models.errors import ModelError
from server.repository.errors import RepositoryError
from server.repository.state import ModelState

log = structlog.stdlib.get_logger("tureen.models")

Act = Callable[[Entry, str], Awaitable[None]]


class Following:
    """Makes `models` as their states say. Its state: what is being done, so that nothing is done twice at a time."""

    def __init__(self, models: Models, tasks: TaskGroup, clock: Callable[[], float], *, watch: bool) -> None:
        self._models = models
        self._tasks = tasks
        self._clock = clock
        self._watch = watch
        self._doing: set[tuple[str, str]] = set()

    async def start(self) -> None:
        """Bring up what is to be served; returns when each version has been tried once.

        Raises `RepositoryError` if there is no model, or none that can be served.
        """
        await self._look()
        models = self._models
        if not models.known:
            raise RepositoryError(f"{models.folder.path}: there is no model; a model is NAME/VERSION/model.onnx")
        async with anyio.create_task_group() as tasks:
            for name in models.known:
                tasks.start_soon(self._bring_up_all, name)
        if not any(entry.ready for entry in models.table.entries.values()):
            reasons = [f"{name} {version}: {failure.reason}" for name, known in models.known.items()
                       for version, failure in known.failures.items()]  # fmt: skip
            raise RepositoryError("; ".join(reasons))

    async def run(self, poll_s: float) -> None:
        """Follow until cancelled."""
        while True:
            await anyio.sleep(poll_s)
            try:
                if self._watch:
                    await self._look()
                for name in list(self._models.known):
                    await self._models.read(name)
            except (RepositoryError, ModelError) as error:
                log.warning("repository_unreadable", reason=str(error))
            for name in list(self._models.known):
                self.reconcile(name)

    def reconcile(self, name: str) -> None:
        """Begin to load what is wanted and not there, and to let go of what is there and not wanted."""
        entry, known = self._models.table.entries[name], self._models.known[name]
        wanted = self._wanted(known)
        for version in wanted:
            failure = known.failures.get(version)
            if version not in entry.lanes and (failure is None or self._clock() >= failure.again_at):
                self._begin(self._bring_up, entry, version)
        for version in entry.ready - {*wanted, *known.pins, entry.state.default}:
            self._begin(self._models.retire, entry, version)

    def _wanted(self, known: Known) -> list[str]:
        """What the state says; and where its default cannot be loaded, the version before."""
        wanted = known.state.wanted(self._models.wall_s())
        fallback = [known.state.previous] if known.state.default in known.failures and known.state.previous else []
        return list(dict.fromkeys((*wanted, *fallback)))

    def _begin(self, act: Act, entry: Entry, version: str) -> None:
        if (entry.name, version) not in self._doing:
            self._doing.add((entry.name, version))
            self._tasks.start_soon(self._once, act, entry, version)

    async def _once(self, act: Act, entry: Entry, version: str) -> None:
        try:
            await act(entry, version)
        except RepositoryError as error:
            log.warning("model_not_changed", model=entry.name, version=version, reason=str(error))
        finally:
            self._doing.discard((entry.name, version))

    async def _bring_up_all(self, name: str) -> None:
        known, tried = self._models.known[name], set[str]()
        while left := [version for version in self._wanted(known) if version not in tried]:
            tried.add(left[0])
            await self._bring_up(self._models.table.entries[name], left[0])

    async def _bring_up(self, entry: Entry, version: str) -> None:
        """Load a version that is wanted: whoever wanted it has checked that it may replace the one before."""
        try:
            await self._models.bring_up(entry, version, force=True)
        except LoadFailed:
            pass  # it is logged, and kept as the version's failure

    # -- the folder ----------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Take in what has come to the folder, and let go of what has gone from it. Raises `RepositoryError`."""
        models = self._models
        await anyio.to_thread.run_sync(models.folder.sync)
        marks = await anyio.to_thread.run_sync(models.folder.marks)
        for name in sorted(marks.keys() - models.known.keys()):
            await self._add(name)
        for name, known in models.known.items():
            there, before = marks.get(name, {}), known.marks
            known.marks = there
            if before and before != there:
                self._changed(models.table.entries[name], known, before)

    async def _add(self, name: str) -> None:
        """Take in a model. One whose card is wrong is left out, and a log line says so."""
        models = self._models
        try:
            card = await anyio.to_thread.run_sync(models.folder.card, name)
            default = await anyio.to_thread.run_sync(models.folder.default_version, name)
        except ModelError as error:
            log.error("model_left_out", model=name, reason=str(error))
            return
        models.add(name, card.serving, ModelState(default=default))
        await models.read(name)

    def _changed(self, entry: Entry, known: Known, before: dict[str, Mark]) -> None:
        """Versions have come, gone, or been replaced. A new one that is the highest is promoted."""
        for version in before.keys() - known.marks.keys():
            if version in entry.ready and version != known.state.default:
                self._begin(self._unload, entry, version)
        changed = [version for version, mark in known.marks.items() if before.get(version) != mark]
        for version in changed:
            known.failures.pop(version, None)
            if version in entry.lanes:
                log.warning("version_replaced", model=entry.name, version=version, advice="add a new version instead")
        newest = next(reversed(known.marks), "")
        if newest in changed and newest not in entry.lanes:
            self._begin(self._promote, entry, newest)

    async def _promote(self, entry: Entry, version: str) -> None:
        await self._models.promote(entry.name, version)

    async def _unload(self, entry: Entry, version: str) -> None:
        await self._models.unload(entry.name, version)
