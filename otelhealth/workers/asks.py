"""What a worker asks of the one that runs the checks, and how that one replies."""

from __future__ import annotations

import asyncio
import contextvars
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from otelhealth.errors import OtelHealthError, TooOftenError
from otelhealth.telemetry.propagation import carried, continued
from otelhealth.workers.news import Draft

MOST = 64  # that one worker asks, or handles, at a time
Handler = Callable[[str, Sequence[Any]], Awaitable[Any]]  # of what, with which JSON values; its reply is JSON too


class Asks:
    """Of one worker. `wake` lets it exchange news at once, `handler` gives the replies to others."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.handler: Handler = _nobody
        self._wake = wake
        self._asked: dict[str, tuple[float, str]] = {}
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._heard: list[str] = []
        self._going: dict[str, asyncio.Task[None]] = {}
        self._replies: dict[str, str] = {}

    @property
    def waits(self) -> bool:
        """Whether a reply is to come."""
        return bool(self._waiting)

    async def ask(self, now: float, within: float, what: str, *values: Any) -> Any:
        """The reply; raises OtelHealthError as the other did, or TimeoutError after `within` seconds from `now`."""
        if len(self._waiting) >= MOST:
            raise OtelHealthError("too many ask at once", "ask again soon")
        name = uuid.uuid4().hex
        waiting = self._waiting[name] = asyncio.get_running_loop().create_future()
        self._asked[name] = (now + within, json.dumps([carried(), what, *values]))
        self._wake()
        try:
            async with asyncio.timeout(within):
                return await waiting
        finally:
            del self._waiting[name]
            self._asked.pop(name, None)
            self._heard.append(name)

    def fail(self, error: OtelHealthError) -> None:
        """Nobody is there to reply."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    def hear(self, replies: Mapping[str, str]) -> None:
        """Replies that came."""
        for name, text in replies.items():
            waiting = self._waiting.get(name)
            if waiting is not None and not waiting.done():
                value, error = json.loads(text)
                if error is None:
                    waiting.set_result(value)
                else:
                    waiting.set_exception(_error(*error))

    def take(self, asks: Mapping[str, str]) -> None:
        """Handle these; those that are being handled already stay."""
        for name, question in asks.items():
            if name not in self._going and name not in self._replies and len(self._going) < MOST:
                work = self._work(name, question)
                # of its own context: it is no part of what happens to run here now
                self._going[name] = asyncio.get_running_loop().create_task(work, context=contextvars.Context())

    def tell(self, draft: Draft) -> None:
        """Add what is to be told to the others."""
        draft.asks |= self._asked
        draft.replies |= self._replies
        draft.heard += self._heard
        self._asked, self._replies, self._heard = {}, {}, []

    async def close(self) -> None:
        """Handle no more, and wait for nothing."""
        self.fail(OtelHealthError("this worker stops", "ask another one"))
        going = list(self._going.values())
        for task in going:
            task.cancel()
        await asyncio.gather(*going, return_exceptions=True)

    async def _work(self, name: str, question: str) -> None:
        try:
            headers, what, *values = json.loads(question)
            with continued(headers):
                reply = [await self.handler(what, values), None]
        except OtelHealthError as error:
            reply = [None, (error.sentence, error.remedy, getattr(error, "wait", None))]
        self._replies[name] = text = json.dumps(reply, default=str)
        self.hear({name: text})  # where this one asked, and has to handle it itself by now
        del self._going[name]
        self._wake()


async def _nobody(_what: str, _values: Sequence[Any]) -> Any:
    raise OtelHealthError("this worker does not run the checks", "ask again soon")


def _error(sentence: str, remedy: str, wait: float | None) -> OtelHealthError:
    return OtelHealthError(sentence, remedy) if wait is None else TooOftenError(sentence, remedy, wait)
