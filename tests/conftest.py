"""What holds for the whole suite: only the machine may cause a skip, and for one of these reasons."""

from __future__ import annotations

import itertools
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.telemetry.receiver import Receiver

ALLOWED_SKIPS = (
    r"no cgroup v2 tree in which this user may limit cpu and memory",
    r"this machine has no IPv6 loopback",
    r"which only Linux has$",
    r"is Linux's$",
)

# how fast examples are made is the machine's affair, and how much else it does
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

_strange: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full-length", action="store_true", help="outages as long as they are meant (make faults)")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An OTLP/HTTP receiver on loopback."""
    from tests.telemetry.receiver import Receiver

    with closing(Receiver()) as made:
        yield made


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tells a measured figure, which is printed at the end of the run."""
    return lambda line: record_property("figure", line)


def pytest_configure() -> None:
    """Started by nohup or in a shell's background, a suite ignores these, and so would every program it starts."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(re.search(allowed, reason) for allowed in ALLOWED_SKIPS):
        _strange.append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _strange and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def figures(reporter: pytest.TerminalReporter) -> list[str]:
    reports = itertools.chain(reporter.stats.get("passed", []), reporter.stats.get("failed", []))
    properties = (each for report in reports for each in report.user_properties)
    return [str(value) for name, value in properties if name == "figure"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := figures(terminalreporter):
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
    if _strange:
        terminalreporter.section("skipped for a reason that is not in tests/conftest.py", red=True)
        for line in _strange:
            terminalreporter.line(line)
