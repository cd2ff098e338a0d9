"""Which checks are watched, and whether it is this process that runs them, or another one that tells of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from otelhealth.checks.base import Check
from otelhealth.clock import Clock
from otelhealth.engine.board import Board
from otelhealth.engine.runner import Runner
from otelhealth.engine.scheduler import Scheduler
from otelhealth.engine.state import CheckState
from otelhealth.telemetry.instruments import Instruments

Snapshot = dict[str, Any]
LENIENT = 1.0  # s by which another process may be late to tell that a state is stale
log = logging.getLogger("otelhealth")


class Roster:
    """Puts checks on the board and, while this process `leads`, into scheduler and instruments."""

    def __init__(
        self, board: Board, runner: Runner, scheduler: Scheduler, instruments: Instruments, clock: Clock
    ) -> None:
        self.board = board
        self.leads = False  # whether this process runs the checks
        self._runner = runner
        self._scheduler = scheduler
        self._instruments = instruments
        self._clock = clock
        self._kept: dict[str, Snapshot] = {}  # of an earlier process, until their check is put
        self._told: dict[str, Snapshot] = {}  # by the process that runs the checks

    def put(self, check: Check) -> None:
        """Watch a check, or follow its new settings."""
        state = self.board.put(check, self._clock.time())
        self._runner.forget(check.name)
        if not self.leads:
            self._mirror(state)
            return
        if (known := self._kept.pop(check.name, None)) is not None:
            self._restore(state, known)
        self._employ(state)

    def drop(self, name: str) -> None:
        """Forget a check everywhere but in the store."""
        self._scheduler.remove(name)
        self.board.drop(name)
        self._runner.forget(name)
        self._instruments.forget(name)

    def hear(self, name: str, snapshot: Snapshot | None) -> None:
        """What the process that runs the checks tells of one; None: it watches it no more. Then `sweep`."""
        if snapshot is None:
            self._told.pop(name, None)
            return
        self._told[name] = snapshot
        if not self.leads and (state := self.board.states.get(name)):
            self._mirror(state)

    def sweep(self) -> None:
        """Let pass what time does, while another process is to be first to tell it."""
        self.board.sweep(self._clock.time() - LENIENT)

    def lead(self, kept: Mapping[str, Snapshot]) -> None:
        """Run the checks from now on: those that another process told of when that one would have run them next.

        `kept` are the snapshots in the store.
        """
        self.leads, now = True, self._clock.time()
        newer = {name: one for name, one in self._told.items() if _finished(one) >= _finished(kept.get(name, {}))}
        self._kept = {**kept, **newer}
        for state in self.board:
            known = self._kept.pop(state.name, None)
            if state.name in self._told:
                self._mirror(state, known)  # without what this process made of the silence since
            elif known is not None:
                self._restore(state, known)
            due = state.due()
            self._employ(state, None if due is None or now - due > state.check.every else max(0.0, due - now))
            self._scheduler.hurry(state.name, state.undecided)
        self._told.clear()

    def _mirror(self, state: CheckState, told: Snapshot | None = None) -> None:
        told = told or self._told.get(state.name)
        if told is None:
            return
        try:
            state.mirror(told, self._clock.time())
        except (ValueError, OverflowError) as error:
            log.warning("what another process told of %s cannot be read: %s", state.name, error)
        self.board.touch(state.name)

    def _restore(self, state: CheckState, known: Snapshot) -> None:
        try:
            state.restore(known, self._clock.time())
        except (ValueError, OverflowError) as error:
            log.warning("the state of %s starts anew: %s", state.name, error)
        self.board.touch(state.name)

    def _employ(self, state: CheckState, first: float | None = None) -> None:
        check = state.check
        if not check.enabled:
            self._scheduler.remove(check.name)
            self._instruments.forget(check.name)
            return
        self._instruments.add(check, state.status)
        if check.name in self._scheduler:
            self._scheduler.replace(check)
        else:
            self._scheduler.add(check, first)


def _finished(snapshot: Mapping[str, Any]) -> float:
    return float(snapshot.get("finished") or 0.0)
