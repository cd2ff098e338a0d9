"""A failed test shows what the servers it used have written."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import is_dataclass

import pytest

from tests.stack.server import Server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        for server in servers_among(item.funcargs.values()):
            report.sections.append((f"end of {server.log}", server.tail()))
    return report


def servers_among(values: Iterable[object]) -> Iterator[Server]:
    for value in values:
        if isinstance(value, Server):
            yield value
        elif is_dataclass(value):  # a Stack, or what stands on one
            yield from servers_among(vars(value).values())
