"""Notices that a file of the configuration changed: by looking once in a while, which sees ConfigMap swaps too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

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

    def follow(self, sources: Sources) -> None:
        """Look at these from now on; what changed since they were read is a change."""
        self._known = sources

    async def run(self) -> None:
        """Look until cancelled. Each look happens in a thread, since a network file system may hang; such a
        hop is a third of what an idle agent costs."""
        before = self._known
        while True:
            await asyncio.sleep(self._every if before == self._known else min(self._every, SETTLING))
            known = self._known
            now = await asyncio.to_thread(known.again)
            if now == before and now != known and known is self._known:
                self._known = now
                await self._changed()
            before = now
