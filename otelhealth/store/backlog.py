"""What waits to be written, bounded: the event loop adds, the writer's thread takes it in batches."""

import logging
from collections import deque
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, TypeVar

from otelhealth.model import CheckResult, StateChange

T = TypeVar("T")
BATCH = 100  # rows a transaction
MOST_RUNS = 20_000  # that wait for a slow disk; beyond, the oldest are dropped
MOST_CHANGES = 10_000
log = logging.getLogger("otelhealth.store")


class Batch(NamedTuple):
    """What one transaction writes."""

    runs: Sequence[CheckResult]
    changes: Sequence[StateChange]
    states: Mapping[str, Mapping[str, Any]]
    counters: Mapping[str, Any]


class Backlog:
    """Runs and changes in their order; of states and counters the latest by name."""

    def __init__(self) -> None:
        self.runs: deque[CheckResult] = deque(maxlen=MOST_RUNS)
        self.changes: deque[StateChange] = deque(maxlen=MOST_CHANGES)
        self.states: dict[str, Mapping[str, Any]] = {}
        self.counters: dict[str, Any] = {}
        self.dropped = 0  # runs

    def __bool__(self) -> bool:
        return bool(self.runs or self.changes or self.states or self.counters)

    def add(self, run: CheckResult) -> None:
        """Let a run wait, in the place of the oldest where there is no room."""
        if len(self.runs) == MOST_RUNS:
            self._drop(1)
        self.runs.append(run)

    def take(self) -> Batch:
        """The oldest of what waits; the event loop may add meanwhile."""
        return Batch(_oldest(self.runs), _oldest(self.changes), _some(self.states), _some(self.counters))

    def put_back(self, batch: Batch) -> None:
        """Let what could not be written wait again; what came in meanwhile is newer."""
        runs = _newest(batch.runs, MOST_RUNS - len(self.runs))
        self._drop(len(batch.runs) - len(runs))
        self.runs.extendleft(reversed(runs))
        self.changes.extendleft(reversed(_newest(batch.changes, MOST_CHANGES - len(self.changes))))
        for name, snapshot in batch.states.items():
            self.states.setdefault(name, snapshot)
        for key, value in batch.counters.items():
            self.counters.setdefault(key, value)

    def _drop(self, runs: int) -> None:
        if runs and not self.dropped:
            log.error("the store's disk is too slow or full; the oldest runs are dropped")
        self.dropped += runs


def _oldest(waiting: deque[T]) -> list[T]:
    return [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]


def _some(waiting: MutableMapping[str, T]) -> dict[str, T]:
    return dict(waiting.popitem() for _ in range(min(BATCH, len(waiting))))


def _newest(items: Sequence[T], room: int) -> Sequence[T]:
    return items[len(items) - min(room, len(items)) :]
