"""What an application with an agent in it gives out of its requests, WebSockets, endpoints and tasks."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.metrics import Histogram, Meter

from otelhealth.telemetry.metric import Metric, Record, declared
from otelhealth.telemetry.names import ERROR_TYPE

METHOD = "http.request.method"
STATUS = "http.response.status_code"
ROUTE = "http.route"
SCHEME = "url.scheme"
VERSION = "network.protocol.version"
PROTOCOL = "network.protocol.name"
SYNTHETIC = "user_agent.synthetic.type"
AGENT = "user_agent.original"
DIRECTION = "network.io.direction"
MESSAGE_TYPE = "otelhealth.websocket.message.type"
CLOSE_CODE = "otelhealth.websocket.close.code"
TASK = "otelhealth.task.name"
TASK_RESULT = "otelhealth.task.result"
ENDPOINT = "otelhealth.endpoint.name"

# upper bounds in s: of the conventions for requests; of what lives from a second to a day
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
LONG_SECONDS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 10_800.0, 43_200.0, 86_400.0)

_REQUEST = "each request, but those for its health and those of probes"
_SOCKET = "each WebSocket"

REQUESTS = Metric(
    "http.server.request.duration",
    "s",
    "histogram",
    "Duration of HTTP server requests.",
    (METHOD, SCHEME, ROUTE, STATUS, ERROR_TYPE, VERSION),
    _REQUEST,
)
REQUESTS_ACTIVE = Metric(
    "http.server.active_requests",
    "{request}",
    "updowncounter",
    "Number of active HTTP server requests.",
    (METHOD, SCHEME),
)
SOCKETS = Metric("otelhealth.websocket.connections", "{connection}", "updowncounter", "Open WebSockets.", (ROUTE,))
SOCKET_MESSAGES = Metric(
    "otelhealth.websocket.messages",
    "{message}",
    "counter",
    "Messages over WebSockets: `receive` from clients, `transmit` to them.",
    (ROUTE, DIRECTION, MESSAGE_TYPE),
    "each message",
)
SOCKET_DURATION = Metric(
    "otelhealth.websocket.duration", "s", "histogram", "How long WebSockets were open.", (ROUTE,), _SOCKET
)
SOCKET_CLOSES = Metric(
    "otelhealth.websocket.closes",
    "{connection}",
    "counter",
    "WebSockets that ended, by close code; 1006 where none was said.",
    (ROUTE, CLOSE_CODE),
    _SOCKET,
)
TASK_DURATION = Metric(
    "otelhealth.task.duration",
    "s",
    "histogram",
    "Duration of a `@monitor_task`; its count is the number of runs.",
    (TASK, TASK_RESULT, ERROR_TYPE),
    "each run of the task",
)
ENDPOINT_DURATION = Metric(
    "otelhealth.endpoint.duration",
    "s",
    "histogram",
    "Duration of a `@monitor_endpoint`.",
    (ENDPOINT, ERROR_TYPE),
    "each call of the endpoint",
)
METRICS = declared(globals())

_SAID = ("server.address", "server.port", "client.address", "client.port", "url.path", "url.query", AGENT, SYNTHETIC)
EVENT_TASK_START = "otelhealth.task.start"
EVENT_TASK_SUCCESS = "otelhealth.task.success"
EVENT_TASK_FAIL = "otelhealth.task.fail"
SPANS = (
    Record(
        "{method} {route}",
        "SERVER, of a request; ERROR with error.type on a 5xx, an exception nobody handled, an answer that broke off.",
        (METHOD, "http.request.method_original", SCHEME, VERSION, *_SAID, ROUTE, STATUS, ERROR_TYPE),
        "each request, but those for its health",
    ),
    Record(
        "WS {route}",
        "SERVER, of a WebSocket from its handshake to its end.",
        (METHOD, SCHEME, PROTOCOL, VERSION, *_SAID, ROUTE, STATUS, CLOSE_CODE, ERROR_TYPE),
        _SOCKET,
    ),
    Record("task {name}", "INTERNAL, of a `@monitor_task`.", (TASK, ERROR_TYPE), "each run of the task"),
    Record("endpoint {name}", "INTERNAL, of a `@monitor_endpoint`.", (ENDPOINT, ERROR_TYPE), "each call of it"),
    Record("{name}", "INTERNAL, of a `trace_call`; with the attributes it was given.", (ERROR_TYPE,), "each call"),
)
EVENTS = (
    Record(EVENT_TASK_START, "INFO: a task begins.", (TASK,), "each run of the task"),
    Record(EVENT_TASK_SUCCESS, "INFO: a task did its work.", (TASK,), "each run that returns"),
    Record(
        EVENT_TASK_FAIL,
        "ERROR: a task raised.",
        (TASK, ERROR_TYPE, "exception.type", "exception.message", "exception.stacktrace"),
        "each run that raises",
    ),
)


def histogram(meter: Meter, metric: Metric, bounds: Sequence[float]) -> Histogram:
    """The instrument of `metric`, whose buckets end at `bounds` where nobody says otherwise."""
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=bounds
    )
