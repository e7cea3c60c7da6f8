"""Settings that are right alone and wrong together."""

from server.settings.fields import Settings


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
    if queues.consume and not (storage.store or queues.results):
        found.append("consume: needs --store or --results, or the answers would go nowhere")
    return found
