"""A logarithmic histogram of durations: any quantile within 0.5 %, a count per bucket that was hit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

_ACCURACY = 0.005
_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_PER_LOG = 1 / math.log(_GAMMA)
_SMALLEST = 1e-9  # seconds; all below counts as this
_MIDDLE = 2 / (1 + _GAMMA)  # of a bucket, seen from its upper bound: the value that is never further off than _ACCURACY


def bucket(value: float) -> int:
    """The bucket of a duration in seconds."""
    return math.ceil(math.log(max(_SMALLEST, value)) * _PER_LOG)


def middle(index: int) -> float:
    """The duration that stands for a bucket, in seconds."""
    return _MIDDLE * math.exp(index / _PER_LOG)


class Histogram:
    """Counts of durations by bucket, and their sum."""

    __slots__ = ("buckets", "count", "sum")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count = 0
        self.sum = 0.0

    def add(self, index: int, value: float, count: int = 1) -> None:
        """`count` durations of together `value * count` seconds in the bucket `index`."""
        self.buckets[index] = self.buckets.get(index, 0) + count
        self.count += count
        self.sum += value * count

    def include(self, buckets: Mapping[int, int], seconds: float) -> None:
        """Counts by bucket of durations that together took so many seconds."""
        for index, count in buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
            self.count += count
        self.sum += seconds

    def remove(self, other: Histogram) -> None:
        """Take away what `other` had given."""
        for index, count in other.buckets.items():
            left = self.buckets[index] - count
            if left:
                self.buckets[index] = left
            else:
                del self.buckets[index]
        self.count -= other.count
        self.sum = self.sum - other.sum if self.count else 0.0

    def quantiles(self, shares: Iterable[float]) -> list[float]:
        """For each share (ascending) the duration in seconds that it of all is not above; 0.0 when empty."""
        wanted = [max(1, math.ceil(share * self.count)) for share in shares]
        found: list[float] = []
        seen = 0
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            while len(found) < len(wanted) and seen >= wanted[len(found)]:
                found.append(middle(index))
        return found + [0.0] * (len(wanted) - len(found))

    @property
    def average(self) -> float:
        return self.sum / self.count if self.count else 0.0
