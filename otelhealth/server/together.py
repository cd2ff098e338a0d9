"""One making of a large response for all who ask at once: a crowd costs no more than two, and holds up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")
_LONG = 0.02  # s of a making from which on the next has to wait for as long as it took


class Together(Generic[T]):
    """Lets `make` work for one key after the other, in one event loop, of which it takes no more than half.

    uvloop accepts one connection each time round: a crowd would be let in only between two steps of `make`.
    """

    def __init__(self, make: Callable[..., Awaitable[T]]) -> None:
        self._make = make
        self._turn = asyncio.Lock()
        self._rests_until = 0.0  # of the loop's clock
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def ask(self, *key: Hashable) -> T:
        """What `make(*key)` gives, begun after this was asked: never older than the question."""
        task = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.create_task(self._begin(key))
        return await asyncio.shield(task)

    async def _begin(self, key: tuple[Hashable, ...]) -> T:
        clock = asyncio.get_running_loop().time
        async with self._turn:
            await asyncio.sleep(self._rests_until - clock())
            del self._next[key]
            begun = clock()
            try:
                return await self._make(*key)
            finally:
                ended = clock()
                if ended - begun > _LONG:
                    self._rests_until = ended + (ended - begun)
