"""When each check is due next: pure, told the time, starting nothing."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from hashlib import blake2b
from random import Random
from typing import Literal

from otelhealth.checks.base import Check
from otelhealth.cron import Cron

FIRST_WITHIN = 5.0  # s in which an interval check runs first
FASTER = 5  # times, while a state is undecided
FASTEST = 1.0  # s between runs while undecided
EARLY, MOST_EARLY = 0.025, 0.5  # share of the interval, and s, by which a check may start early in others' company
TOGETHER = 4  # at most, of which some start early
JUMP = 0.5  # s by which the wall clock may leave the monotonic one before cron slots are planned anew
LATE_CRON = 3 * 3600.0  # s a slot that a clock jump passed over is made up for; Debian's cron has the same limit


def stable_share(name: str) -> float:
    """0 <= share < 1, always the same for a name, even over many names."""
    return int.from_bytes(blake2b(name.encode(), digest_size=6).digest(), "big") / 2**48


def slot_from(moment: float, every: float, share: float) -> float:
    """The first slot at or after `moment` of the check whose slots lie at `(k + share) * every`."""
    phase = share * every
    behind = (moment - phase) % every
    return moment if behind == 0 else moment + every - behind


class Entry:
    """A check's place in the timetable, and in the lanes while it runs. `due` and `begun` are monotonic seconds."""

    __slots__ = (
        "around",
        "begun",
        "check",
        "cron",
        "due",
        "every",
        "hurried",
        "lane",
        "run",
        "share",
        "slot",
        "slow",
        "stage",
        "stamp",
        "task",
        "tier1",
        "waiters",
    )

    def __init__(self, check: Check) -> None:
        self.share = stable_share(check.name)
        self.due = self.slot = self.begun = 0.0  # slot: the undisturbed time; Unix seconds where there is a cron
        self.stamp = 0  # of the one heap item that counts; 0: none does
        self.run = 0  # counts runs, so that a lane tells this one from an earlier one
        self.hurried = self.slow = False
        self.tier1 = False
        self.stage: Literal["", "waiting", "running"] = ""
        self.lane = ""  # on whose account it runs
        self.around: contextvars.Context | None = None  # of the next run, with the span of whoever asked for it
        self.task: asyncio.Task[object] | None = None
        self.waiters: list[asyncio.Future[None]] | None = None
        self.take(check)

    def take(self, check: Check) -> None:
        """Follow `check` from now on."""
        self.check = check
        self.every = check.every
        self.cron = Cron(check.cron, check.timezone) if check.cron else None


class Timetable:
    """The due times of many checks. An interval check keeps to its own slots, so it never drifts; a cron check
    keeps to the wall clock, whatever that does."""

    def __init__(self, monotonic: float, wall: float, random: Random | None = None) -> None:
        self.entries: dict[str, Entry] = {}
        self.missed = 0  # slots passed over; the reader takes them and sets 0
        self._heap: list[tuple[float, int, Entry]] = []
        self._stamp = 0
        self._offset = wall - monotonic
        self._random = random or Random()  # noqa: S311 - jitter is no secret

    def add(self, check: Check, monotonic: float, wall: float, first: float | None = None) -> Entry:
        """Plan a check: first `first` seconds from now, else spread over min(every, 5 s); a cron check at its time."""
        entry = self.entries[check.name] = Entry(check)
        if first is not None:
            entry.slot = wall + first if entry.cron else monotonic + first
            self._plan(entry, monotonic + first)
        else:
            self._first(entry, monotonic, wall)
        return entry

    def remove(self, name: str) -> Entry | None:
        entry = self.entries.pop(name, None)
        if entry:
            entry.stamp = 0
        return entry

    def replace(self, check: Check, monotonic: float, wall: float) -> None:
        """Follow new settings; where the timing is as before, so are the due times."""
        entry = self.entries[check.name]
        before = entry.check
        entry.take(check)
        if (before.every, before.cron, before.timezone) == (check.every, check.cron, check.timezone):
            return
        entry.hurried = False
        self._first(entry, monotonic, wall)

    def poke(self, name: str, at: float) -> None:
        """Bring the next start forward to `at`."""
        entry = self.entries[name]
        if at < entry.due:
            self._plan(entry, at)

    def hurry(self, name: str, on: bool, monotonic: float) -> None:
        """Run faster while `on`; a check that is gone is no error, its last run may just be ending."""
        entry = self.entries.get(name)
        if entry is None or entry.hurried is on:
            return
        entry.hurried = on
        wall = monotonic + self._offset
        short = self._short(entry, wall)
        if on:
            self.poke(name, monotonic + short)
        elif entry.cron:
            self._plan_cron(entry, monotonic, wall, wall)
        else:
            entry.slot = slot_from(monotonic + short, entry.every, entry.share)
            self._plan(entry, entry.slot)

    def next_due(self) -> float | None:
        heap = self._heap
        while heap and heap[0][1] != heap[0][2].stamp:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take(self, monotonic: float, wall: float, limit: int) -> list[tuple[Entry, float]]:
        """Up to `limit` entries that are due, each with the time it was due; all are planned on.

        A few that are due in a moment come along: of two checks that follow each other in an idle process each costs
        twice what the second of a pair costs, which finds the processor's caches warm.
        """
        taken: list[tuple[Entry, float]] = []
        heap = self._heap
        while heap and len(taken) < limit:
            due, stamp, entry = heap[0]
            if due > monotonic and not (0 < len(taken) < TOGETHER and _may_start_early(entry, due - monotonic)):
                break
            heapq.heappop(heap)
            if stamp == entry.stamp and self._advance(entry, due, monotonic, wall):
                taken.append((entry, min(due, monotonic)))
        return taken

    def jump(self, monotonic: float, wall: float) -> float:
        """By how many seconds the wall clock has jumped since it was last looked at; then cron slots are replanned."""
        jumped = wall - monotonic - self._offset
        if -JUMP < jumped < JUMP:
            return 0.0
        self._offset = wall - monotonic
        for entry in self.entries.values():
            if entry.cron:
                self._after_jump(entry, monotonic, wall, jumped)
        return jumped

    def _first(self, entry: Entry, monotonic: float, wall: float) -> None:
        if entry.cron:
            self._plan_cron(entry, monotonic, wall, wall)
        else:
            entry.slot = monotonic + entry.share * min(entry.every, FIRST_WITHIN)
            self._plan(entry, entry.slot)

    def _plan(self, entry: Entry, due: float) -> None:
        self._stamp += 1
        entry.stamp = self._stamp
        entry.due = due
        heapq.heappush(self._heap, (due, self._stamp, entry))

    def _plan_cron(self, entry: Entry, monotonic: float, wall: float, after: float) -> None:
        assert entry.cron is not None  # noqa: S101 - tells the type checker what every caller has looked at
        entry.slot = entry.cron.after(after)
        self._plan(entry, monotonic + entry.slot - wall)

    def _after_jump(self, entry: Entry, monotonic: float, wall: float, jumped: float) -> None:
        """A slot that was passed over is made up for once, soon; one that comes again is not run twice."""
        late = wall - entry.slot
        if 0 < late <= LATE_CRON:
            self._plan(entry, monotonic + entry.share * FIRST_WITHIN)
        elif late > 0 or jumped < -LATE_CRON:
            self.missed += late > 0
            self._plan_cron(entry, monotonic, wall, wall)
        else:
            self._plan(entry, monotonic - late)

    def _advance(self, entry: Entry, due: float, monotonic: float, wall: float) -> bool:
        """Plan the next start; whether this one still counts."""
        if entry.cron:
            return self._advance_cron(entry, monotonic, wall)
        every = entry.every
        if monotonic - due > every:  # after a stall: not all at once, but spread like first starts
            self.missed += int((monotonic - due) / every)
            entry.slot = monotonic + entry.share * min(every, FIRST_WITHIN)
            self._plan(entry, entry.slot)
            return False
        if entry.hurried:
            self._plan(entry, max(due, monotonic - FASTEST) + self._short(entry, wall))
            return True
        base = min(due, entry.slot)  # half an interval: a start off the slots (the first, a poked one) leads to them
        entry.slot = slot_from(max(base + every / 2, monotonic), every, entry.share)
        self.missed += max(0, round((entry.slot - base) / every) - 1)
        jitter = entry.check.jitter
        self._plan(entry, entry.slot + self._random.random() * jitter * every if jitter else entry.slot)
        return True

    def _advance_cron(self, entry: Entry, monotonic: float, wall: float) -> bool:
        assert entry.cron is not None  # noqa: S101 - tells the type checker what the caller has looked at
        late = wall - entry.slot
        if late >= 0:
            entry.slot = entry.cron.after(wall)
            self.missed += late > LATE_CRON
        at = monotonic + entry.slot - wall
        if -JUMP < late < 0:  # the monotonic clock is a little ahead
            self._plan(entry, at)
            return False
        self._plan(entry, min(at, monotonic + self._short(entry, wall)) if entry.hurried else at)
        return late <= LATE_CRON

    def _short(self, entry: Entry, wall: float) -> float:
        """Seconds between runs while undecided: a fifth of the usual, at least 1 s, never more than the usual."""
        every = entry.every
        if entry.cron:
            following = entry.cron.after(wall)
            every = entry.cron.after(following) - following
        return min(every, max(FASTEST, every / FASTER))


def _may_start_early(entry: Entry, seconds: float) -> bool:
    """Only where the interval is all that was asked for, and the run before has ended."""
    free = not (entry.cron or entry.hurried or entry.stage)
    return free and seconds <= min(MOST_EARLY, EARLY * entry.every)
