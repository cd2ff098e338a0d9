"""Notices that a file of the configuration changed: by looking once in a while, which sees ConfigMap swaps too."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from otelhealth.config.sources import Sources

SETTLING = 0.5  # s between two looks while something changes


class Watch:
    """Looks at `sources` every `every` seconds, and calls `changed` once a change has settled (two looks alike).

    Files that are missing count too: one that appears is a change. After each load, accepted or refused, it wants the
    new Sources, since they may name other files.
    """

    def __init__(self, sources: Sources, changed: Callable[[], Awaitable[None]], every: float = 5.0) -> None:
        self._known = sources
        self._changed = changed
        self._every = every
        self._ended = threading.Event()

    def follow(self, sources: Sources) -> None:
        """Look at these from now on; what changed since they were read is a change."""
        self._known = sources

    async def run(self) -> None:
        """Look until cancelled."""
        noticed, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop has been closed
                loop.call_soon_threadsafe(noticed.set)

        threading.Thread(target=self._look_on, args=(tell,), name="otelhealth-watch", daemon=True).start()
        try:
            while await noticed.wait():
                noticed.clear()
                await self._changed()
        finally:
            self._ended.set()

    def _look_on(self, tell: Callable[[], None]) -> None:
        """In a thread of its own, since a network file system may hang, and since the event loop need not wake for it:
        its two wakings and the hop between them would be as dear as a check."""
        before = self._known
        while not self._ended.wait(self._every if before == self._known else min(self._every, SETTLING)):
            known = self._known
            now = known.again()
            if now == before and now != known and known is self._known:
                self._known = now
                tell()
            before = now
