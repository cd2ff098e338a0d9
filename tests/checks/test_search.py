from __future__ import annotations

import time

import pytest

from otelhealth.checks.search import PATIENCE, Search
from otelhealth.errors import OtelHealthError


def test_a_match_tells_where_it_ends() -> None:
    assert Search(r"b+").end("aabbb-") == 5
    assert Search(rb"\+PONG").end(b"+PONG\r\n") == 5
    assert Search("x").end("aab") is None
    assert Search("^").end("") == 0


def test_an_expression_that_backtracks_is_stopped() -> None:
    begun = time.thread_time()  # which goes on only where the search does
    with pytest.raises(OtelHealthError, match="took longer than 100ms on this answer"):
        Search(r"\s+$").end(" " * 300_000 + "x")
    assert time.thread_time() - begun < 20 * PATIENCE
