"""A failed test shows what the servers it used have written."""

from collections.abc import Generator, Iterable, Iterator

import pytest

from tests.stack.server import Server
from tests.stack.servers import Stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for server in servers_among(item.funcargs.values()):
            report.sections.append((f"end of {server.log}", server.tail()))
    return report


def servers_among(values: Iterable[object]) -> Iterator[Server]:
    for value in values:
        match value:
            case Server():
                yield value
            case Stack():
                yield from (value.collector, value.jaeger, value.prometheus)
