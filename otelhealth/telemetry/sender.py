"""What a sender is: it delivers one encoded request, retried within one deadline, and tells what became of it.

This is the seam where the durable spool comes in: it is a Sender too.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request; `error_type` None: delivered, but for `rejected` items."""

    error_type: str | None = None
    message: str = ""
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `again` None is final, else the least pause before the next one (0.0: none asked for)."""

    outcome: Outcome
    again: float | None = None


class Sender(Protocol):
    """Takes one encoded request; blocks the calling thread until its outcome is known."""

    def send(self, body: bytes) -> Outcome: ...

    def close(self) -> None:
        """No further retries; a send that waits between two returns."""
        ...


class Retrying:
    """Attempts with growing pauses until the request's deadline."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._closing = threading.Event()
        self._one_at_a_time = threading.Lock()

    def send(self, body: bytes) -> Outcome:
        deadline = time.monotonic() + self._timeout
        if not self._one_at_a_time.acquire(timeout=self._timeout):
            return Outcome("timeout", "another request held the connection")
        try:
            return self._send(self._prepare(body), deadline)
        finally:
            self._one_at_a_time.release()

    def _send(self, body: bytes, deadline: float) -> Outcome:
        pause = 1.0
        while True:
            attempt = self._attempt(body, max(0.001, deadline - time.monotonic()))
            if attempt.again is None:
                return attempt.outcome
            wait = attempt.again or pause * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, hides nothing
            if time.monotonic() + wait >= deadline or self._closing.wait(wait):
                return attempt.outcome
            pause *= 2

    def close(self) -> None:
        self._closing.set()

    def _prepare(self, body: bytes) -> bytes:
        return body

    def _attempt(self, body: bytes, timeout: float) -> Attempt:
        raise NotImplementedError
