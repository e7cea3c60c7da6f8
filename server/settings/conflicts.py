"""Settings that are right alone and wrong together, for the commands that use them."""

from server.settings.errors import SettingsError
from server.settings.fields import Settings


def check(settings: Settings) -> Settings:
    """The settings. Raises `SettingsError` if some cannot be together."""
    if found := conflicts(settings):
        raise SettingsError(found)
    return settings


def conflicts(settings: Settings) -> list[str]:
    """What is wrong, each with what would be right."""
    queues, storage, workers = settings.queues, settings.storage, settings.worker.workers
    found = []
    if workers == 0 and not queues.forward:
        found.append("workers = 0: needs --forward, since nothing is answered here")
    if queues.forward and workers != 0:
        found.append("forward: needs --workers 0, since uploads are answered elsewhere")
    if queues.forward and not storage.store:
        found.append("forward: needs --store, where those who answer find the uploads")
    if queues.forward and queues.consume:
        found.append("consume: cannot be together with --forward, since nothing is answered here")
    if settings.repository.models and settings.model:
        found.append("models: --model serves one model, --models a folder of them; give one of the two")
    if settings.auth.require_auth and not settings.auth.is_set:
        found.append("require_auth = on: needs --keys FILE (tureen keys add makes one) or --jwt-issuer")
    if queues.consume and not (storage.store or queues.results):
        found.append("consume: needs --store or --results, or the answers would go nowhere")
    return found
