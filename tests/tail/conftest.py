"""A failed test shows what the servers of its line have written."""

from tests.stack.conftest import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]
