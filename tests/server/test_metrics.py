"""`/metrics` read back by others: prometheus_client's parsers, promtool, and a real Prometheus that takes both ways."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from otelhealth.model import Attributes, Exemplar, HistogramValue, MetricFamily, MetricPoint
from otelhealth.server.metrics import OPEN_METRICS, TEXT, Text
from otelhealth.server.names import label_name, metric_name
from tests.server.agent import serving
from tests.stack.places import BIN

Kind = Literal["counter", "updowncounter", "gauge", "histogram"]

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.1"
)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HISTOGRAM = HistogramValue(
    (0.005, 1.0, 2.5),
    (1, 2, 0, 1),
    7.25,
    (Exemplar(0.7, 1_700_000_000.5, TRACE, SPAN), Exemplar(9.0, 1_700_000_001.0, TRACE, SPAN)),
)


def family(name: str, unit: str, kind: Kind, *points: tuple[Attributes, float | HistogramValue]) -> MetricFamily:
    return MetricFamily(name, unit, kind, f"What {name} is.", [MetricPoint(*point) for point in points])


SAMPLE = [
    family(
        "otelhealth.check.status",
        "1",
        "updowncounter",
        ((("otelhealth.check.name", 'a "b"\\c\nd'), ("otelhealth.check.state", "pass")), 1.0),
        ((("otelhealth.check.name", "x"), ("otelhealth.check.state", "pass")), 0.0),
    ),
    family("otelhealth.check.duration", "s", "histogram", ((("otelhealth.check.name", "x"),), HISTOGRAM)),
    family("otelhealth.check.state.transitions", "{transition}", "counter", ((), 3.0)),
    family("otelhealth.service.score", "1", "gauge", ((), 0.875)),
    family("system.memory.usage", "By", "updowncounter", ((("system.memory.state", "used"),), 8_123_456_789.0)),
    family("process.cpu.time", "s", "counter", ((("cpu.mode", "user"),), 12.25)),
]


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        ("otelhealth.check.status", "1", "updowncounter", "otelhealth_check_status"),
        ("otelhealth.check.duration", "s", "histogram", "otelhealth_check_duration_seconds"),
        ("otelhealth.service.score", "1", "gauge", "otelhealth_service_score_ratio"),
        ("otelhealth.check.state.transitions", "{transition}", "counter", "otelhealth_check_state_transitions_total"),
        ("otelhealth.check.last_run.time", "s", "gauge", "otelhealth_check_last_run_time_seconds"),
        ("system.disk.io", "By", "counter", "system_disk_io_bytes_total"),
        ("system.network.rate", "By/s", "gauge", "system_network_rate_bytes_per_second"),
        ("system.memory.usage", "By", "updowncounter", "system_memory_usage_bytes"),
        ("cpu", "%", "gauge", "cpu_percent"),
        ("share.ratio", "1", "gauge", "share_ratio"),
        ("total.seconds", "s", "counter", "seconds_total"),
        ("requests", "{request}/s", "gauge", "requests_per_second"),
        ("free", "{thing}/{other}", "gauge", "free"),
        ("9lives", "", "gauge", "_9lives"),
        ("a..b--c__d", "", "gauge", "a_b_c_d"),
        ("odd", "foo bar/m", "gauge", "odd_foo_bar_per_minute"),
        ("speed", "km/h", "gauge", "speed_km_per_hour"),
    ],
)
def test_names_are_those_of_the_collector_path(name: str, unit: str, kind: str, expected: str) -> None:
    assert metric_name(name, unit, kind) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("http.request.method", "http_request_method"),
        ("a..b", "a__b"),
        ("1st", "key_1st"),
        ("_x", "key_x"),
        ("__x", "__x"),
    ],
)
def test_label_names_are_made_plain(key: str, expected: str) -> None:
    assert label_name(key) == expected


def render(families: list[MetricFamily], *, openmetrics: bool) -> str:
    return "".join(Text(openmetrics=openmetrics).lines(families, [{"service.name": "shop"}]))


def test_plain_text_reads_as_expected() -> None:
    text = render([SAMPLE[0], SAMPLE[3], SAMPLE[1]], openmetrics=False)
    assert text == (
        "# HELP target_info Target metadata\n# TYPE target_info gauge\n"
        'target_info{service_name="shop"} 1\n'
        "# HELP otelhealth_check_status What otelhealth.check.status is.\n# TYPE otelhealth_check_status gauge\n"
        'otelhealth_check_status{otelhealth_check_name="a \\"b\\"\\\\c\\nd",otelhealth_check_state="pass"} 1\n'
        'otelhealth_check_status{otelhealth_check_name="x",otelhealth_check_state="pass"} 0\n'
        "# HELP otelhealth_service_score_ratio What otelhealth.service.score is.\n"
        "# TYPE otelhealth_service_score_ratio gauge\notelhealth_service_score_ratio 0.875\n"
        "# HELP otelhealth_check_duration_seconds What otelhealth.check.duration is.\n"
        "# TYPE otelhealth_check_duration_seconds histogram\n"
        'otelhealth_check_duration_seconds_bucket{otelhealth_check_name="x",le="0.005"} 1\n'
        'otelhealth_check_duration_seconds_bucket{otelhealth_check_name="x",le="1.0"} 3\n'
        'otelhealth_check_duration_seconds_bucket{otelhealth_check_name="x",le="2.5"} 3\n'
        'otelhealth_check_duration_seconds_bucket{otelhealth_check_name="x",le="+Inf"} 4\n'
        'otelhealth_check_duration_seconds_sum{otelhealth_check_name="x"} 7.25\n'
        'otelhealth_check_duration_seconds_count{otelhealth_check_name="x"} 4\n'
    )


def test_openmetrics_carries_exemplars_and_ends() -> None:
    text = render(SAMPLE, openmetrics=True)
    assert text.endswith("# EOF\n")
    assert f'le="1.0"}} 3 # {{trace_id="{TRACE}",span_id="{SPAN}"}} 0.7 1700000000.500\n' in text
    assert "# TYPE otelhealth_check_state_transitions counter\n" in text
    assert "#" not in render(SAMPLE, openmetrics=False).replace("# HELP", "").replace("# TYPE", "")


def test_the_newest_exemplar_of_a_bucket_is_shown_and_one_without_a_trace_is_not() -> None:
    exemplars = tuple(Exemplar(0.1 * n, float(n), TRACE if n < 3 else "", SPAN) for n in (2, 1, 3))
    text = render(
        [family("d", "s", "histogram", ((), HistogramValue((1.0,), (3, 0), 0.6, exemplars)))], openmetrics=True
    )
    assert text.count("trace_id") == 1
    assert " 0.2 2.000\n" in text


def test_values_that_are_no_number_are_written_as_prometheus_writes_them() -> None:
    points = [((("n", str(n)),), value) for n, value in enumerate((math.nan, math.inf, -math.inf, 1e300, 5e-324, -0.5))]
    text = render([family("odd", "", "gauge", *points)], openmetrics=False)
    assert [line.split(" ")[1] for line in text.splitlines() if line.startswith("odd")] == [
        *("NaN", "+Inf", "-Inf", "1e+300", "5e-324", "-0.5")
    ]


def test_attributes_that_become_one_label_are_joined() -> None:
    text = render([family("m", "", "gauge", ((("a.b", "2"), ("a-b", "1")), 1.0))], openmetrics=False)
    assert 'm{a_b="1;2"} 1\n' in text


def test_families_that_become_one_name_stand_together_and_an_empty_one_not_at_all() -> None:
    same = [family("a.b", "", "gauge", ((), 1.0)), SAMPLE[3], family("a_b", "", "gauge", ((("x", "y"),), 2.0))]
    text = render(
        [*same, family("a.b", "", "histogram", ((), HISTOGRAM)), family("none", "", "gauge")], openmetrics=False
    )
    assert '# TYPE a_b gauge\na_b 1\na_b{x="y"} 2\n' in text
    assert text.count("# TYPE a_b ") == 1
    assert "none" not in text


KEYS = st.sampled_from(["otelhealth.check.name", "http.route", "le.x", "error.type"])
ATTRIBUTES = st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"]), max_size=12)).map(
    lambda found: tuple(found.items())
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def histograms(draw: st.DrawFn) -> HistogramValue:
    bounds = draw(st.lists(st.floats(0.001, 1000), unique=True, max_size=6).map(sorted))
    counts = draw(st.lists(st.integers(0, 10**9), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    values = draw(st.lists(st.floats(0, 2000), max_size=5))
    exemplars = tuple(Exemplar(value, 1_700_000_000.0 + n, TRACE, SPAN) for n, value in enumerate(values))
    return HistogramValue(bounds, counts, draw(st.floats(0, 1e12)), exemplars)


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "counter": st.floats(0, 1e18),
    "updowncounter": FINITE,
    "gauge": FINITE,
    "histogram": histograms(),
}


@st.composite
def families(draw: st.DrawFn) -> list[MetricFamily]:
    found: list[MetricFamily] = []
    kinds: list[Kind] = ["counter", "updowncounter", "gauge", "histogram"]
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(kinds))
        unit = draw(st.sampled_from(["", "1", "s", "By", "By/s", "%", "{thing}", "ms"]))
        sets = draw(
            st.lists(ATTRIBUTES, unique_by=lambda pairs: frozenset(dict(pairs).items()), min_size=1, max_size=4)
        )
        points = [MetricPoint(attributes, draw(VALUES[kind])) for attributes in sets]
        help_text = draw(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)).strip()
        found.append(MetricFamily(f"m{number}.some.thing", unit, kind, help_text, points))
    return found


def expected(found: list[MetricFamily]) -> Iterator[tuple[str, dict[str, str], float]]:
    for item in found:
        name = metric_name(item.name, item.unit, item.type)
        for point in item.points:
            labels = {label_name(key): value for key, value in point.attributes}
            if not isinstance(point.value, HistogramValue):
                yield name, labels, point.value
                continue
            running = 0
            for bound, count in zip([*point.value.bounds, math.inf], point.value.counts, strict=True):
                running += count
                yield f"{name}_bucket", labels | {"le": repr(bound) if bound < math.inf else "+Inf"}, float(running)
            yield f"{name}_sum", labels, point.value.sum
            yield f"{name}_count", labels, float(running)


@given(families())
def test_what_is_written_is_read_back(found: list[MetricFamily]) -> None:
    for openmetrics, parse in ((False, parse_text), (True, parse_openmetrics)):
        samples = [sample for item in parse(render(found, openmetrics=openmetrics)) for sample in item.samples]
        read = [(sample.name, sorted(sample.labels.items()), float(sample.value)) for sample in samples]
        wanted = [("target_info", {"service_name": "shop"}, 1.0), *expected(found)]
        assert sorted(read) == sorted((name, sorted(labels.items()), value) for name, labels, value in wanted)


def test_promtool_finds_nothing_to_complain_about_in_the_format() -> None:
    promtool = BIN / "promtool"
    if not promtool.exists():
        pytest.fail(f"{promtool} is missing; build it once: python3 tests/stack/build.py")
    done = subprocess.run(
        [str(promtool), "check", "metrics"],
        input=render(SAMPLE, openmetrics=False),
        capture_output=True,
        text=True,
        check=False,
    )
    # 3 is lint advice about names, which are OpenTelemetry's; 1 is a text that does not parse
    assert done.returncode in (0, 3), done.stderr
    assert "error while linting" not in done.stderr


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain", TEXT),
        ("application/openmetrics-text", OPEN_METRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.9", TEXT),
        ("application/openmetrics-text; version=1.0.0; q=0", TEXT),
        ("application/openmetrics-text;q=x", TEXT),
        (PROMETHEUS_3, OPEN_METRICS),
    ],
)
async def test_the_format_is_the_one_the_scraper_prefers(accept: str, kind: bytes) -> None:
    async with serving() as client:
        client.served.metrics = SAMPLE
        reply = await client.ask("/metrics", accept=accept)
    assert reply.headers["content-type"] == kind.decode()
    assert reply.body.endswith(b"# EOF\n") == (kind == OPEN_METRICS)
    assert b'host_name="db\\"1"' in reply.body


async def test_a_large_scrape_comes_whole() -> None:
    points = [((("otelhealth.check.name", f"check-{n}"),), float(n)) for n in range(5000)]
    async with serving() as client:
        client.served.metrics = [family("otelhealth.check.value", "", "gauge", *points)]
        body = (await client.ask("/metrics")).body.decode()
    assert sum(line.startswith("otelhealth_check_value{") for line in body.splitlines()) == 5000
    assert list(parse_text(body))
