"""A real OTLP/HTTP receiver on loopback that decodes what arrives; it can be told how to answer, or to hang."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.stack.loopback import kept
from tests.waiting import eventually


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes  # as decoded from its content-encoding
    raw: bytes  # as it came
    peer: int = 0  # the port it came from, one per connection
    answered: int = 0  # with which status

    @property
    def compressed(self) -> int:
        """Bytes on the wire."""
        return len(self.raw)


@dataclass
class Answer:
    """How the receiver answers: a status, headers, a body; or not.

    `hang` never answers, `trickle` gives a byte each so many seconds, `reset` breaks the connection in mid-body.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: bool = False
    trickle: float = 0.0
    reset: bool = False

    @property
    def whole(self) -> bool:
        """Whether the client ever gets all of it."""
        return not (self.hang or self.trickle or self.reset)


class Receiver:
    """Answers `answers` in their order, then by path, then `answer`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer = Answer()
        self.answers: list[Answer] = []
        self.answers_of: dict[str, Answer] = {}
        self.released = threading.Event()
        self.connections: set[socket.socket] = set()
        self._kept = kept()
        self.port: int = self._kept.getsockname()[1]
        self.up()

    def up(self) -> None:
        """Always at the same port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.released.set()
        self._stop()
        self._kept.close()

    def down(self) -> None:
        """Refuses connections, and cuts those there are."""
        self._stop()
        for connection in list(self.connections):
            with suppress(OSError):  # it has just ended
                connection.shutdown(socket.SHUT_RDWR)

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def choose(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:  # noqa: ARG002 - others look at it
        """What to answer to a request, its body unpacked."""
        return self.answers.pop(0) if self.answers else self.answers_of.get(path, self.answer)

    def wait_for(self, count: int) -> None:
        """Until so many requests came in all."""
        eventually(lambda: len(self.requests) >= count)

    def spans(self) -> list[Span]:
        return [span for _, _, span in self.scoped_spans()]

    def scoped_spans(self) -> Iterator[tuple[dict[str, Any], str, Span]]:
        """(resource, scope name, span)."""
        for body in self._bodies("/v1/traces"):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield attributes(resource.resource.attributes), scope.scope.name, span

    def metrics(self) -> dict[str, Metric]:
        """The last state of each metric; the points of one export are put together."""
        found: dict[str, Metric] = {}
        for _, metric in self.scoped_metrics():
            kind = metric.WhichOneof("data")
            known = found.get(metric.name)
            if known is None or _time(known) != _time(metric):
                found[metric.name] = metric
            else:
                getattr(known, str(kind)).data_points.extend(getattr(metric, str(kind)).data_points)
        return found

    def scoped_metrics(self) -> Iterator[tuple[dict[str, Any], Metric]]:
        for body in self._bodies("/v1/metrics"):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        yield attributes(resource.resource.attributes), metric

    def logs(self) -> list[LogRecord]:
        return [
            record
            for body in self._bodies("/v1/logs")
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def _bodies(self, path: str) -> list[bytes]:
        return [request.body for request in list(self.requests) if request.path == path]

    def _handler(self) -> type[Handler]:
        return type("Handler", (Handler,), {"receiver": self})


class Handler(BaseHTTPRequestHandler):
    """One connection to a receiver."""

    receiver: Receiver
    protocol_version = "HTTP/1.1"
    timeout = 30

    def setup(self) -> None:
        super().setup()
        self.receiver.connections.add(self.connection)

    def finish(self) -> None:
        self.receiver.connections.discard(self.connection)
        with suppress(OSError):  # it was cut
            super().finish()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.receiver.choose(self.path, body, headers)
        peer, answered = self.client_address[1], answer.status if answer.whole else 0
        self.receiver.requests.append(Request(self.path, headers, body, raw, peer, answered))
        self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        if answer.hang:
            self.receiver.released.wait(30)
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body) + (0 if answer.whole else 1000)))
        self.end_headers()
        self.wfile.write(answer.body)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        while answer.trickle and not self.receiver.released.wait(answer.trickle):
            try:
                self.wfile.write(b"x")
            except OSError:
                break

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the handler's name for it
        """Quiet."""


def attributes(pairs: Any) -> dict[str, Any]:
    """KeyValues as a dict of plain values."""
    return {pair.key: plain(pair.value) for pair in pairs}


def plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case None:
            return None
        case kind:
            return getattr(value, kind)


def points(metric: Metric) -> list[Any]:
    return list(getattr(metric, str(metric.WhichOneof("data"))).data_points)


def _time(metric: Metric) -> int:
    found = points(metric)
    return found[0].time_unix_nano if found else 0
