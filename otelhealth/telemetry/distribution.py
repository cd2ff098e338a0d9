"""Durations as a point of an OTLP histogram tells them: how many fell between which bounds.

Where inside its bucket a duration was nobody knows: it is taken to be anywhere, a percentile is as good as the bounds.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_PLACES = 10  # of one bucket, over which its durations are spread
_COARSEST, _FINEST = -6, 20  # scales; below, a bucket spans more than 2^64
_MOST = 2**53  # requests of one point that are believed
_MOST_BUCKETS = 2_000  # of one point

Part = tuple[float, int]  # a duration, and how many had it


class Explicit(NamedTuple):
    """Buckets with upper bounds, ascending; the last count is of those above all bounds."""

    bounds: tuple[float, ...]
    counts: Sequence[int]

    def since(self, earlier: Explicit) -> Explicit | None:
        """What came after `earlier`; None where the two do not compare."""
        if self.bounds != earlier.bounds or len(self.counts) != len(earlier.counts):
            return None
        return self._replace(counts=_differences(self.counts, earlier.counts))

    def parts(self, low: float, high: float) -> Iterator[Part]:
        """Durations between `low` and `high`, all buckets spread."""
        edges = (0.0, *self.bounds, math.inf)
        for index, count in enumerate(self.counts):
            if count > 0:
                least = max(edges[index], min(low, edges[index + 1]))
                most = min(edges[index + 1], max(high, edges[index]))
                yield from _spread(least, most if math.isfinite(most) else least, count)


class Exponential(NamedTuple):
    """Buckets that grow by 2^(2^-scale), the first of them with number `offset`; `zero` are too short to tell.

    `unit` is what its 1 stands for, in seconds.
    """

    scale: int
    zero: int
    offset: int
    counts: Sequence[int]
    unit: float = 1.0

    def since(self, earlier: Exponential) -> Exponential | None:
        """As of Explicit. Buckets only ever become coarser: `earlier` is made as coarse."""
        if earlier.scale < self.scale:
            return None
        shift = earlier.scale - self.scale
        left = {self.offset + position: count for position, count in enumerate(self.counts)}
        for position, count in enumerate(earlier.counts):
            if count:
                number = earlier.offset + position >> shift
                left[number] = left.get(number, 0) - count
        first, last = min(left, default=0), max(left, default=-1)
        if last - first > len(self.counts) + len(earlier.counts):
            return None  # far apart: not the same series
        counts = [left.get(number, 0) for number in range(first, last + 1)]
        return self._replace(zero=self.zero - earlier.zero, offset=first, counts=counts)

    def parts(self, low: float, high: float) -> Iterator[Part]:
        """Durations between `low` and `high`, each bucket by its middle."""
        width = 2.0**-self.scale
        middle = math.log2(2 / (1 + 2.0**-width))
        if self.zero > 0:
            yield low, self.zero
        for position, count in enumerate(self.counts):
            if count > 0:
                power = (self.offset + position) * width + middle
                yield min(high, max(low, self.unit * 2.0 ** max(-60.0, min(60.0, power)))), count


class Distribution(NamedTuple):
    """Of `requests` durations, together `sum` seconds (None: not told), none outside `low` and `high`."""

    requests: int
    sum: float | None
    buckets: Explicit | Exponential
    low: float = 0.0
    high: float = math.inf

    @property
    def believable(self) -> bool:
        """Whether it can be what a service measured: what comes from outside may say anything."""
        if not 0 <= self.requests <= _MOST or not (self.sum is None or 0 <= self.sum < math.inf):
            return False
        counts = self.buckets.counts
        if not 0 <= self.low <= self.high or self.low == math.inf or len(counts) > _MOST_BUCKETS:
            return False
        if any(not 0 <= count <= _MOST for count in counts):
            return False
        if isinstance(self.buckets, Exponential):
            sound = _COARSEST <= self.buckets.scale <= _FINEST and -(2**31) <= self.buckets.offset < 2**31
            return sound and 0 <= self.buckets.zero <= _MOST
        bounds = self.buckets.bounds
        fits = len(counts) in (0, len(bounds) + 1)
        return fits and all(a < b for a, b in zip((-1.0, *bounds), (*bounds, math.inf), strict=True))

    def since(self, earlier: Distribution) -> Distribution | None:
        """What a cumulative series grew by; None where it fell, or is another by now."""
        if self.requests < earlier.requests or type(self.buckets) is not type(earlier.buckets):
            return None
        buckets = self.buckets.since(earlier.buckets)  # type: ignore[arg-type] # of one type, as just seen
        if buckets is None:
            return None
        total = None if self.sum is None or earlier.sum is None else max(0.0, self.sum - earlier.sum)
        found = self._replace(requests=self.requests - earlier.requests, sum=total, buckets=buckets)
        return found if found.believable else None

    @property
    def layout(self) -> tuple[float, ...]:
        """Equal and not empty where two may be added, so that thousands of series cost as little as one."""
        return self.buckets.bounds if isinstance(self.buckets, Explicit) and self.requests > 1 else ()

    def plus(self, other: Distribution) -> Distribution:
        """Both; of one `layout`."""
        total = None if self.sum is None or other.sum is None else self.sum + other.sum
        counts = [mine + theirs for mine, theirs in zip(self.buckets.counts, other.buckets.counts, strict=True)]
        buckets = self.buckets._replace(counts=counts)
        low, high = min(self.low, other.low), max(self.high, other.high)
        return Distribution(self.requests + other.requests, total, buckets, low, high)

    def parts(self) -> list[Part]:
        """All durations, in seconds."""
        if self.requests == 1 and self.sum is not None:
            return [(self.sum, 1)]
        parts = list(self.buckets.parts(self.low, self.high))
        if not parts and self.requests:
            return [(self.sum / self.requests if self.sum else 0.0, self.requests)]
        return parts

    def kept(self) -> Distribution:
        """The same in the least room."""
        return self._replace(buckets=self.buckets._replace(counts=array("Q", self.buckets.counts)))


def _differences(later: Sequence[int], earlier: Sequence[int]) -> list[int]:
    return [after - before for after, before in zip(later, earlier, strict=True)]


def _spread(least: float, most: float, count: int) -> Iterator[Part]:
    places = min(count, _PLACES)
    for place in range(places):
        share = count * (place + 1) // places - count * place // places
        yield least + (most - least) * (place + 0.5) / places, share
