"""The metrics of all workers: as text for the others, and together for `/metrics`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from otelhealth.model import Attributes, Exemplar, Exposition, HistogramValue, MetricFamily, MetricPoint
from otelhealth.telemetry.resource import INSTANCE_ID


def encode(families: Iterable[MetricFamily]) -> str:
    """One line of JSON for each."""
    return "\n".join(
        json.dumps([*_title(family), [[point.attributes, _value(point.value)] for point in family.points]])
        for family in families
    )


def decode(text: str) -> Iterator[MetricFamily]:
    for line in text.splitlines():
        name, unit, kind, description, points = json.loads(line)
        yield MetricFamily(name, unit, kind, description, [_point(*point) for point in points])


def together(every: Sequence[Exposition]) -> Exposition:
    """The metrics of several workers, each point with the instance that it is of."""
    if len(every) == 1:
        return every[0]
    resources = [resource for one in every for resource in one.resources]
    families = [
        family._replace(points=[_of(point, one.resources[0].get(INSTANCE_ID, "")) for point in family.points])
        for one in every
        for family in one.families
    ]
    return Exposition(resources, families)


def _of(point: MetricPoint, instance: str) -> MetricPoint:
    return MetricPoint((*point.attributes, (INSTANCE_ID, instance)), point.value)


def _title(family: MetricFamily) -> tuple[str, str, str, str]:
    return family.name, family.unit, family.type, family.description


def _value(value: float | HistogramValue) -> object:
    if not isinstance(value, HistogramValue):
        return value
    exemplars = [(one.value, one.time, one.trace_id, one.span_id) for one in value.exemplars]
    return [list(value.bounds), list(value.counts), value.sum, exemplars]


def _point(attributes: Iterable[Iterable[str]], value: Any) -> MetricPoint:
    known: Attributes = tuple((key, text) for key, text in attributes)
    if not isinstance(value, list):
        return MetricPoint(known, value)
    bounds, counts, total, exemplars = value
    return MetricPoint(known, HistogramValue(bounds, counts, total, [Exemplar(*one) for one in exemplars]))
