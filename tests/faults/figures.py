"""What a row of the fault table gives: how much was made, lost, doubled; and the table of all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.faults.program import Program
from tests.faults.scripted import arrived
from tests.telemetry.receiver import Receiver

# Seconds that an outage lasts. The shortened one exceeds what the SDK's queue holds, and its export may take.
FULL, SHORTENED = 60.0, 20.0
PER_SECOND = 200  # spans, and log records
ENDED = 7.5  # s: an end takes 5 at most, and a busy machine adds some; the plain exporter is killed after 8


class Figures(NamedTuple):
    """Of one run; `points` are collections of metrics, `gap` the longest time between two that arrived."""

    way: str
    made: int
    lost_spans: int
    lost_logs: int
    lost_points: int
    duplicates: int
    gap: float
    ended: float = 0.0  # seconds from SIGTERM to the end
    row: str = ""
    fault: str = ""
    said: str = ""  # in the log

    @property
    def lost(self) -> int:
        return self.lost_spans + self.lost_logs + self.lost_points


def figures_of(program: Program, receiver: Receiver, numbers: Sequence[int], collections: int) -> Figures:
    """What came to the receiver of the program's items of these numbers, and of so many collections of metrics."""
    came = arrived(receiver, program.order.name)
    spans, logs = came.lost("s", numbers)
    points = max(0, collections - len(came.collections))
    return Figures(program.order.way, len(numbers), spans, logs, points, came.duplicates, came.longest_gap)


def table(rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [
        "| row | fault | exporter | made | lost spans | lost logs | lost points | duplicates | longest gap | end |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return [*lines, *(f"| {' | '.join(row)} |" for row in sorted(map(_cells, rows)))]


def _cells(row: Sequence[object]) -> list[str]:
    found = Figures(*row)  # type: ignore[arg-type]  # it was one, before a worker sent it
    end = f"{found.ended:.1f} s" if found.ended else ""
    numbers = (found.made, found.lost_spans, found.lost_logs, found.lost_points, found.duplicates)
    return [found.row, found.fault, found.way, *map(str, numbers), f"{found.gap:.1f} s", end]
