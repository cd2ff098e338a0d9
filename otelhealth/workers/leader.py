"""The worker that runs the checks, as another one sees it: what may be asked of it, and whether it is there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from otelhealth.clock import Clock
from otelhealth.complaint import Complaint
from otelhealth.engine.board import Board
from otelhealth.errors import OtelHealthError
from otelhealth.records import CheckRecord, History
from otelhealth.workers import HELLO, HISTORY, RUN
from otelhealth.workers.asks import Asks
from otelhealth.workers.election import Election

SILENT = 5.0  # s without a sign of life from which on it counts as silent
GREETING = 2.0  # s that a worker waits at its start for what the leader knows
LONGEST = 60.0  # s that runs which are asked for may take
PATIENCE = 5.0  # s that a reply may take beside
log = logging.getLogger("otelhealth.workers")
_WAIT = "the next worker runs the checks as soon as that one ends; restart it where it hangs"


class Leader:
    """All that is asked raises OtelHealthError as the leader does, and where it does not answer."""

    def __init__(self, election: Election, asks: Asks, board: Board, clock: Clock) -> None:
        self._election = election
        self._asks = asks
        self._board = board
        self._clock = clock
        self.complaint = Complaint(log)  # that it is silent

    def __str__(self) -> str:
        return f"the worker that runs the checks (pid {self._election.leader})"

    @property
    def silent(self) -> str:
        """The sentence, where it is not heard of; else ""."""
        silence = self._election.silence()
        return f"{self} has not been heard of for {silence:.0f} s" if silence > SILENT else ""

    async def run(self, names: tuple[str, ...], *, metered: bool) -> Mapping[str, CheckRecord]:
        """The records of these checks, of all without names, after a run of each within a minute."""
        asked = [state.check for state in self._board if not names or state.name in names]
        within = min(LONGEST, max((check.longest_run for check in asked), default=0.0)) + PATIENCE
        found: Mapping[str, CheckRecord] = await self._ask(within, RUN, names, metered)
        return found

    async def history(self, name: str, since: float, limit: int) -> History:
        """See `Store.history`."""
        found: History = await self._ask(PATIENCE, HISTORY, name, since, limit)
        return found

    async def greet(self) -> None:
        """Let it tell what it knows, where it is there."""
        with suppress(OtelHealthError):
            await self._ask(GREETING, HELLO)

    def look(self) -> None:
        """Say where it is silent; nobody is to wait for it then."""
        if silent := self.silent:
            self.complaint.make(silent, "%s", silent)
            self._asks.fail(OtelHealthError(silent, _WAIT))
        else:
            self.complaint.withdraw("%s is heard of", self)

    async def _ask(self, within: float, what: str, *values: object) -> Any:
        if silent := self.silent:
            raise OtelHealthError(silent, _WAIT)
        try:
            return await self._asks.ask(self._clock.time(), within, what, *values)
        except TimeoutError as error:
            raise OtelHealthError(f"{self} did not answer within {within:g} s", _WAIT) from error
