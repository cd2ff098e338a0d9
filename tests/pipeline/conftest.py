"""The real line and an agent that runs on it, for all tests that stop neither; a failed test shows their logs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.watching import Watched, watching
from tests.stack.conftest import pytest_runtest_makereport
from tests.stack.servers import Stack, stack

__all__ = ["pytest_runtest_makereport"]


@pytest.fixture(scope="package")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="package")
def watched(line: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watching(line, tmp_path_factory.mktemp("watched")) as running:
        yield running
