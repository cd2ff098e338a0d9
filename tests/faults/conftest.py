"""The rows of the fault table: collected from the tests, printed when all have run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.figures import FULL, SHORTENED, Figures, table
from tests.stack.conftest import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

_rows: list[Any] = []


@pytest.fixture(scope="session")
def outage(request: pytest.FixtureRequest) -> float:
    """Its length in seconds."""
    return FULL if request.config.getoption("--full-length") else SHORTENED


@pytest.fixture
def row(record_property: Callable[[str, object], None]) -> Callable[[Figures], Figures]:
    """Puts figures into the table."""

    def put(figures: Figures) -> Figures:
        record_property("fault", list(figures))
        return figures

    return put


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        _rows.extend(value for name, value in report.user_properties if name == "fault")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _rows:
        terminalreporter.section("fault table")
        for line in table(_rows):
            terminalreporter.line(line)
