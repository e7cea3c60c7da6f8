"""What every test shares, and the rule that a skipped test is a failed one.

A test that is skipped wherever it runs tests nothing and looks green. Only a test marked `gpu` may be
skipped, on a machine that has no GPU; any other fails the run, in a developer's checkout as in CI.
"""

from collections.abc import Iterable

import pytest

from tests.aws import aws


@pytest.fixture
def anyio_backend():
    """Async tests run on asyncio, the only loop the server has."""
    return "asyncio"


@pytest.fixture(scope="session")
def cloud():
    """S3 and SQS, at one endpoint (tests/aws.py)."""
    with aws() as server:
        yield server


def unexcused(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """Name what was skipped without the gpu mark: tests, and modules that left while they were collected."""
    return [report.nodeid for report in reports if "gpu" not in getattr(report, "keywords", {})]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Turn a green run red if a test was skipped that may not be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # one of several processes that share the tests: the one that started them all decides
        return
    skipped = unexcused(reporter.stats.get("skipped", ()))
    if not skipped:
        return
    reporter.write_line("")
    for nodeid in skipped:
        reporter.write_line(f"SKIPPED, which only a test marked gpu may be: {nodeid}", red=True)
    if exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
