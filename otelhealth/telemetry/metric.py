"""What is told of a metric, a span or an event where it is declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from otelhealth.model import Instrument

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
OTHER_UNITS = (0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 10_000.0)


class Metric(NamedTuple):
    """One metric as it leaves: `attributes` are all keys its points may carry, `when` says when it moves."""

    name: str
    unit: str
    instrument: Instrument
    description: str
    attributes: tuple[str, ...] = ()
    when: str = "observed at each export"

    @property
    def bounds(self) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets."""
        return SECONDS if self.unit == "s" else OTHER_UNITS


def declared(module: Mapping[str, object]) -> tuple[Metric, ...]:
    """The metrics among a module's names, in their order."""
    return tuple(each for each in module.values() if isinstance(each, Metric))


class Record(NamedTuple):
    """A span or an event as it leaves; `attributes` are all keys it may carry."""

    name: str
    description: str
    attributes: tuple[str, ...]
    when: str
