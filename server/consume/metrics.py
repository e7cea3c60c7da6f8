"""What Prometheus sees of a consumer."""

from collections.abc import Callable, Iterator, Mapping

import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from server.consume.ledger import State
from server.settings import ServerSettings

log = structlog.stdlib.get_logger("tureen.consumer")


class ConsumerCollector(Collector):
    """Reads the state when Prometheus asks. Reasons come from fixed sets of codes."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def describe(self) -> list[Metric]:
        """Nothing: without it, registering would ask for the state."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks."""
        now = self._state()
        yield _gauge("consumer_waiting", "Messages in the queue, roughly", now.waiting)
        yield _gauge("consumer_oldest_seconds", "Age of the oldest message in hand", now.oldest_s)
        yield _gauge("consumer_in_flight", "Messages in hand", now.in_flight)
        yield CounterMetricFamily("tureen_consumer_images", "Images of messages answered", value=now.answered)
        yield CounterMetricFamily("tureen_consumer_finished", "Messages finished", value=now.finished)
        yield _by("consumer_again", "Messages put back, by reason", now.again)
        yield _by("consumer_dead_letters", "Messages that became dead letters, by reason", now.buried)
        yield _by("consumer_failures", "Failures of the queue, by reason", now.failures)


def serve_metrics(settings: ServerSettings, state: Callable[[], State]) -> None:
    """Answer Prometheus on the admin port, in a thread. A port that is taken is logged, and nothing more."""
    registry = CollectorRegistry()
    registry.register(ConsumerCollector(state))
    try:
        start_http_server(settings.admin_port, settings.admin_host, registry)
    except OSError as error:
        log.warning("no_metrics", port=settings.admin_port, reason=error.strerror or str(error))


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tureen_{name}", text, value=value)


def _by(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"tureen_{name}", text, labels=["reason"])
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family
