"""The metrics of several workers, as text and together."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from otelhealth.model import Exemplar, Exposition, HistogramValue, MetricFamily, MetricPoint
from otelhealth.workers.families import decode, encode, together

numbers = st.floats(allow_nan=False)
attributes = st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple)


def histograms() -> st.SearchStrategy[HistogramValue]:
    exemplars = st.builds(Exemplar, numbers, numbers, st.text(), st.text())
    counts = st.lists(st.integers(0, 2**60), min_size=3, max_size=3)
    return st.builds(HistogramValue, st.just([0.1, 1.0]), counts, numbers, st.lists(exemplars, max_size=2))


def families() -> st.SearchStrategy[MetricFamily]:
    points: Any = st.builds(MetricPoint, attributes, numbers | histograms())
    kinds = st.sampled_from(["counter", "updowncounter", "gauge", "histogram"])
    return st.builds(MetricFamily, st.text(), st.text(), kinds, st.text(), st.lists(points, max_size=3))


@given(st.lists(families(), max_size=4))
def test_what_is_told_as_text_is_heard_as_it_was(told: list[MetricFamily]) -> None:
    assert list(decode(encode(told))) == told


def test_each_point_of_several_names_its_worker_and_those_of_one_do_not() -> None:
    def of(instance: str, value: float) -> Exposition:
        family = MetricFamily("a.b", "s", "gauge", "", [MetricPoint((("k", "v"),), value)])
        return Exposition([{"service.instance.id": instance}], [family])

    assert together([of("x", 1.0)]) == of("x", 1.0)
    found = together([of("x", 1.0), of("y", 2.0)])
    assert found.resources == [{"service.instance.id": "x"}, {"service.instance.id": "y"}]
    assert [point for family in found.families for point in family.points] == [
        MetricPoint((("k", "v"), ("service.instance.id", "x")), 1.0),
        MetricPoint((("k", "v"), ("service.instance.id", "y")), 2.0),
    ]
