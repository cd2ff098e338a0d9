"""Sends a little hand-made OTLP/JSON, for tests of the way behind the agent that must not depend on the agent."""

import json
import secrets
import urllib.error
import urllib.request
from typing import Any

RESOURCE = {
    "service.name": "shop",
    "service.instance.id": "shop-1",
    "service.version": "1.4.2",
    "deployment.environment.name": "test",
    "host.name": "here",
    "process.pid": "7",
}


def post(url: str, body: dict[str, Any]) -> int:
    """The answer's status; 503 and 429 mean that the sender is to try again."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def pairs(values: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def nanos(moment: float) -> str:
    return str(int(moment * 1e9))


def send_span(url: str, moment: float, name: str = "check api") -> str:
    """Sends a failed root span of one second; the trace's id."""
    trace_id = secrets.token_hex(16)
    span = {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": name,
        "kind": 1,
        "startTimeUnixNano": nanos(moment),
        "endTimeUnixNano": nanos(moment + 1),
        "attributes": [{"key": "attempts", "value": {"intValue": "2"}}, *pairs({"otelhealth.check.name": "api"})],
        "status": {"code": 2, "message": "timeout"},
    }
    scope = {"scope": {"name": "test"}, "spans": [span]}
    body = {"resourceSpans": [{"resource": {"attributes": pairs(RESOURCE)}, "scopeSpans": [scope]}]}
    assert post(f"{url}/v1/traces", body) == 200
    return trace_id


def send_log(url: str, moment: float, body: str, trace_id: str) -> None:
    record = {
        "timeUnixNano": nanos(moment),
        "severityNumber": 17,
        "eventName": "otelhealth.check.state_change",
        "body": {"stringValue": body},
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "attributes": pairs({"otelhealth.check.name": "api"}),
    }
    scope = {"scope": {"name": "test"}, "logRecords": [record]}
    logs = {"resourceLogs": [{"resource": {"attributes": pairs(RESOURCE)}, "scopeLogs": [scope]}]}
    assert post(f"{url}/v1/logs", logs) == 200


def send_metrics(url: str, *metrics: dict[str, Any]) -> int:
    scope = {"scope": {"name": "test", "version": "1"}, "metrics": list(metrics)}
    resource = {"attributes": pairs(RESOURCE)}
    return post(f"{url}/v1/metrics", {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]})


def gauge(name: str, unit: str, moment: float, value: float) -> dict[str, Any]:
    point = {"timeUnixNano": nanos(moment), "asDouble": value, "attributes": pairs({"otelhealth.check.name": "api"})}
    return {"name": name, "unit": unit, "gauge": {"dataPoints": [point]}}


CUMULATIVE, DELTA = 2, 1


def total(name: str, unit: str, moment: float, value: int, *, monotonic: bool) -> dict[str, Any]:
    point = {
        "startTimeUnixNano": nanos(moment - 1),
        "timeUnixNano": nanos(moment),
        "asInt": str(value),
        "attributes": pairs({"otelhealth.check.name": "api"}),
    }
    return {
        "name": name,
        "unit": unit,
        "sum": {"dataPoints": [point], "aggregationTemporality": CUMULATIVE, "isMonotonic": monotonic},
    }


def as_delta(metric: dict[str, Any]) -> dict[str, Any]:
    return metric | {"sum": metric["sum"] | {"aggregationTemporality": DELTA}}


def histogram(name: str, moment: float, trace_id: str) -> dict[str, Any]:
    """One second, measured once, with the trace it was measured in."""
    exemplar = {"timeUnixNano": nanos(moment), "asDouble": 1.0, "traceId": trace_id, "spanId": secrets.token_hex(8)}
    point = {
        "startTimeUnixNano": nanos(moment - 60),
        "timeUnixNano": nanos(moment),
        "count": "1",
        "sum": 1.0,
        "explicitBounds": [0.5, 1, 2.5],
        "bucketCounts": ["0", "1", "0", "0"],
        "exemplars": [exemplar],
        "attributes": pairs({"otelhealth.check.name": "api"}),
    }
    return {"name": name, "unit": "s", "histogram": {"dataPoints": [point], "aggregationTemporality": CUMULATIVE}}
