"""The bodies that are on their way in, bounded all together: where there is no room, the slowest gives way."""

from __future__ import annotations

import asyncio

_LEAST = 4096  # bytes that any request counts for
_PATIENCE = 1.0  # s for which none has to give way


class Body:
    """One of them. `patience` is the time limit of who waits for it: it passes where the body has to give way."""

    def __init__(self) -> None:
        self.size = _LEAST
        self.since = asyncio.get_running_loop().time()
        self.patience = asyncio.timeout(None)

    def pace(self, now: float) -> float:
        """Bytes per second."""
        return self.size / max(now - self.since, 0.001)


class Flight:
    """Of at most `most` bytes, but for one alone. In one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._coming: set[Body] = set()

    def begin(self) -> Body:
        """Until `end`, it counts."""
        body = Body()
        self._coming.add(body)
        self._size += body.size
        return body

    def grow(self, body: Body, size: int) -> None:
        body.size += size
        self._size += size

    def came(self, body: Body) -> None:
        """It is whole, and has no more to give way."""
        self._coming.discard(body)

    def end(self, body: Body) -> None:
        self._coming.discard(body)
        self._size -= body.size
        body.size = 0

    def has_room(self, body: Body) -> bool:
        """For what has come of it, after slower ones gave way."""
        now = asyncio.get_running_loop().time()
        while body.size < self._size > self._most:
            slow = [each for each in self._coming if each is not body and now - each.since > _PATIENCE]
            if not slow:
                return False
            slowest = min(slow, key=lambda each: each.pace(now))
            self.end(slowest)
            slowest.patience.reschedule(now)
        return True
