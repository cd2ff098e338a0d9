"""A real Prometheus is told the same metrics twice, by OTLP and by a scrape of `/metrics`: the same series."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from otelhealth.model import HistogramValue, MetricFamily
from tests.server.agent import serving
from tests.server.test_metrics import SAMPLE, SPAN, TRACE, family
from tests.stack.loopback import until
from tests.stack.otlp import nanos, pairs, send_metrics
from tests.stack.servers import Prometheus

ODD = [
    family("http.server.request.rate", "{request}/s", "gauge", ((("http.route", "/a"), ("1st.label", "x")), 1.5)),
    family("system.network.io.rate", "By/s", "gauge", ((), 2.0)),
    family("battery.charge.ratio", "1", "gauge", ((), 0.5)),
    family("requests.total", "1", "counter", ((), 4.0)),
    family(
        "odd..name-with__marks",
        "km/h",
        "gauge",
        ((("a..b", "1"), ("c__d", "2"), ("_e", "3"), ("f.g", "4"), ("f-g", "5")), 3.0),
    ),
    family("42.answers", "%", "gauge", ((), 42.0)),
]
_SCRAPED_ONLY = {"scrape_", "up", "target_info", "ALERTS"}
_FROM_THE_TARGET = {"job", "instance"}


def as_otlp(item: MetricFamily, moment: float) -> dict[str, Any]:
    points = []
    for point in item.points:
        shown: dict[str, Any] = {"timeUnixNano": nanos(moment), "startTimeUnixNano": nanos(moment - 60)}
        shown["attributes"] = pairs(dict(point.attributes))
        if isinstance(point.value, HistogramValue):
            shown |= {"explicitBounds": list(point.value.bounds), "bucketCounts": [str(n) for n in point.value.counts]}
            shown |= {"count": str(sum(point.value.counts)), "sum": point.value.sum}
        else:
            shown["asDouble"] = point.value
        points.append(shown)
    body: dict[str, Any] = {"dataPoints": points}
    if item.type in ("counter", "updowncounter"):
        body |= {"aggregationTemporality": 2, "isMonotonic": item.type == "counter"}
    if item.type == "histogram":
        body["aggregationTemporality"] = 2
    key = {"gauge": "gauge", "histogram": "histogram"}.get(item.type, "sum")
    return {"name": item.name, "unit": item.unit, key: body}


Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


def series(prometheus: Prometheus, selector: str, promoted: frozenset[str]) -> Series:
    found = {}
    for sample in prometheus.api.query(selector):
        labels = dict(sample.labels)
        name = labels.pop("__name__")
        if "le" in labels:
            labels["le"] = str(float(labels["le"]))  # a scrape writes 1.0 where OTLP writes 1
        own = {key: value for key, value in labels.items() if key not in _FROM_THE_TARGET | promoted}
        if not any(name.startswith(word) for word in _SCRAPED_ONLY):
            found[name, frozenset(own.items())] = sample.value
    return found


async def test_a_scrape_gives_the_very_series_that_otlp_gives(tmp_path: Path) -> None:
    metrics = SAMPLE + ODD
    async with serving() as client:
        client.served.metrics = metrics
        with Prometheus(tmp_path) as prometheus:
            await asyncio.to_thread(compare, prometheus, str(client.address), metrics)


def compare(prometheus: Prometheus, address: str, metrics: list[MetricFamily]) -> None:
    prometheus.change({"127.0.0.1:8888": address})
    now = time.time()
    assert send_metrics(prometheus.otlp_url, *(as_otlp(item, now) for item in metrics)) == 200
    by_scrape = f'{{instance="{address}"}}'
    until(lambda: prometheus.api.query(f"otelhealth_service_score_ratio{by_scrape}"), "scraped series")
    promoted = frozenset({"deployment_environment_name", "service_name", "service_version", "host_name"})
    scraped = series(prometheus, by_scrape, promoted)
    sent = series(prometheus, '{job="shop"}', promoted)
    assert sent
    assert scraped == sent
    found = prometheus.api.exemplars("otelhealth_check_duration_seconds_bucket", now - 86400 * 3650, now + 60)
    assert {(one.labels["trace_id"], one.labels["span_id"]) for one in found} <= {(TRACE, SPAN)}
