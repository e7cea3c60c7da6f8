"""docs/metrics.md is made from the metrics: the list that operators build dashboards from is never old."""

from tests.metrics_page import PAGE, every_metric, page


def test_the_page_is_what_the_code_makes():
    """`make metrics` renews it."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_every_metric_says_what_it_is():
    """A name alone helps nobody."""
    assert [] == [family.name for family in every_metric().registry.collect() if not family.documentation]
