"""Waiting for what is to become true: in the event loop, and in a thread of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from inspect import isawaitable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], object], within: float = 30.0) -> None:
    """Let the loop go on until the condition, or what it awaits, holds; AssertionError when not `within` seconds."""
    end = time.monotonic() + within
    while not (await found if isawaitable(found := condition()) else found):
        assert time.monotonic() < end, "it did not become true"
        await asyncio.sleep(0.005)


def eventually(get: Callable[[], T | None], within: float = 30.0) -> T:
    """What `get` returns as soon as it is true; AssertionError with its last answer after `within` seconds."""
    end = time.monotonic() + within
    while not (found := get()):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found
