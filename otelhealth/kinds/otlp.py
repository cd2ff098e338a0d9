"""The export path itself: the Collector takes OTLP, and what earlier runs of this check left behind has arrived.

`fail`: every ProbeError of the wire on any link, a response other than 2xx, and a canary (the trace of an earlier run
in Jaeger, the check's own last_run.time in Prometheus) that is not there `within` its time.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self
from urllib.parse import quote

from opentelemetry.trace import format_trace_id
from pydantic import Field, model_validator

from otelhealth.checks.base import Check, Context, Quantity, failed, passed
from otelhealth.checks.calls import call, no_error_status
from otelhealth.checks.http import Exchange
from otelhealth.checks.request import HeaderValue, Request, Response, header_problem
from otelhealth.checks.stream import Attempt, Endpoint, dial
from otelhealth.checks.tls import Tls, TlsOptions
from otelhealth.checks.url import HttpUrl, Url
from otelhealth.errors import OtelHealthError, ProbeError
from otelhealth.model import CheckResult, Measurement
from otelhealth.records import ExportRecord
from otelhealth.units import Duration, duration_text

_MOST_PENDING = 100


class Canary(NamedTuple):
    """What one run left behind."""

    trace_id: str
    sent: float  # Unix seconds


class OtlpCheck(Check, TlsOptions):
    """Each link from the agent to where people look."""

    summary: ClassVar[str] = "the export path: the Collector takes OTLP; a canary arrives in Jaeger and Prometheus"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("collector_duration", "s", "gauge", "An empty export to the Collector.", "otelhealth.otlp.duration"),
        Quantity(
            "spool_age",
            "s",
            "gauge",
            "How long the oldest request has waited for its delivery.",
            "otelhealth.otlp.spool.age",
        ),
        Quantity("trace_age", "s", "gauge", "Age of the last trace found in Jaeger.", "otelhealth.otlp.trace.age"),
        Quantity("metric_age", "s", "gauge", "Age of the last run known to Prometheus.", "otelhealth.otlp.metric.age"),
    )

    kind: Literal["otlp"] = "otlp"
    url: HttpUrl | None = Field(None, description="OTLP/HTTP base URL; default: where the agent itself exports to.")
    headers: dict[str, HeaderValue] = Field(
        default_factory=dict, max_length=50, description="Headers for `url`; their values are never shown."
    )
    health: HttpUrl | None = Field(None, description="The Collector's own health endpoint, such as http://c:13133/.")
    jaeger: HttpUrl | None = Field(None, description="Jaeger's query API, such as http://jaeger:16686.")
    prometheus: HttpUrl | None = Field(None, description="Prometheus, such as http://prometheus:9090.")
    within: Duration = Field(
        60.0, ge=1, le=86400, description="A canary that has not arrived after this long means a broken link."
    )

    @model_validator(mode="after")
    def _headers_can_be_sent(self) -> Self:
        for name, value in self.headers.items():
            if problem := header_problem(name, value.get_secret_value()):
                raise ValueError(f"headers: {problem}")
        return self

    async def probe(self, ctx: Context) -> CheckResult:
        now = ctx.clock.time()
        said: list[str] = []
        problems: list[ProbeError] = []
        measured: list[Measurement] = []
        for link, ask in self._links(ctx, now, measured):
            try:
                said.append(await ask())
            except ProbeError as error:
                problems.append(ProbeError(error.error_type, f"{link}: {error}"))
        self._send_canary(ctx, now)
        if problems:
            sentence = "; ".join(str(problem) for problem in problems)
            return failed(problems[0].error_type, sentence, *measured, details={"working": said})
        return passed("; ".join(said), *measured)

    def _links(
        self, ctx: Context, now: float, measured: list[Measurement]
    ) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        links: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("agent -> Collector", lambda: self._collector(ctx, measured))
        ]
        if (health := self.health) is not None:
            links.append(("Collector's health", lambda: self._health(ctx, health)))
        if self.url is None and (record := ctx.surroundings.export_record()) is not None:
            links.append(("agent's spool", lambda: _spool(record, measured)))
        if (jaeger := self.jaeger) is not None:
            links.append(("Collector -> Jaeger", lambda: self._trace(ctx, jaeger, now, measured)))
        if (prometheus := self.prometheus) is not None:
            links.append(("Collector -> Prometheus", lambda: self._metric(ctx, prometheus, now, measured)))
        return links

    async def _collector(self, ctx: Context, measured: list[Measurement]) -> str:
        url, headers, protocol = self._target(ctx)
        if protocol == "grpc":
            exchange = Attempt()
            secured = self.secured() if url.scheme == "https" else None
            transport = await dial(
                asyncio.Protocol(), Endpoint(url.host, url.port), exchange, secured, ("h2",) if secured else ()
            )
            transport.abort()
            exchange.enter("")
            said = "the Collector's gRPC port takes connections"
        else:
            exchange = Exchange()
            # An empty ExportTraceServiceRequest is no bytes at all.
            target = url.under("/v1/traces")
            await self._ask(ctx, exchange, target, method="POST", headers=tuple(headers.items()), judge=_no_page)
            said = "the Collector takes OTLP"
        measured.append(Measurement("collector_duration", sum(exchange.phases.values()), "s"))
        return said

    def _target(self, ctx: Context) -> tuple[Url, Mapping[str, str], str]:
        path = ctx.surroundings.export_path
        if self.url is not None:
            return self.url, {name: value.get_secret_value() for name, value in self.headers.items()}, "http/protobuf"
        if path is None:
            raise OtelHealthError(
                "nothing is exported, no OTLP endpoint is set", "set telemetry.otlp.endpoint or `url`"
            )
        endpoint = path.endpoint if "://" in path.endpoint else f"http://{path.endpoint}"
        return Url.parse(endpoint), path.headers, path.protocol

    async def _health(self, ctx: Context, url: Url) -> str:
        await self._ask(ctx, Exchange(), url)
        return "it is healthy"

    async def _trace(self, ctx: Context, base: Url, now: float, measured: list[Measurement]) -> str:
        pending = _pending(ctx, "jaeger")
        if not pending:
            return "first canary sent to Jaeger"
        canary = pending[0]
        url = base.under(f"/api/v3/traces/{canary.trace_id}")
        response = await self._ask(ctx, Exchange(), url, judge=_found_or_not)
        if response.status != 404:
            pending.popleft()
            measured.append(Measurement("trace_age", now - canary.sent, "s"))
            return f"the trace of {duration_text(now - canary.sent)} ago is in Jaeger"
        return _late(pending, now, self.within, "trace", "Jaeger")

    async def _metric(self, ctx: Context, base: Url, now: float, measured: list[Measurement]) -> str:
        pending = _pending(ctx, "prometheus")
        query = f"max(otelhealth_check_last_run_time_seconds{{{self._own_labels(ctx)}}})"
        url = base.under(f"/api/v1/query?query={quote(query, safe='')}")
        response = await self._ask(ctx, Exchange(), url)
        if not pending:
            return "first canary sent to Prometheus"
        last = _scalar(response)
        # The time of a run is taken a moment after its probe began, and floats lose digits on their way.
        if last is None or last < pending[0].sent - 1:
            return _late(pending, now, self.within, "metric", "Prometheus")
        while pending and pending[0].sent - 1 <= last:
            pending.popleft()
        measured.append(Measurement("metric_age", now - last, "s"))
        return f"the run of {duration_text(max(0.0, now - last))} ago is in Prometheus"

    def _own_labels(self, ctx: Context) -> str:
        """Other agents have a check of this name too, and their runs would hide that ours no longer arrive."""
        name = f'otelhealth_check_name="{self.name}"'
        path = ctx.surroundings.export_path
        return f"{name},instance={json.dumps(path.instance)}" if path is not None and path.instance else name

    def _send_canary(self, ctx: Context, now: float) -> None:
        context = ctx.span.get_span_context()
        if self.jaeger is not None and context.is_valid and context.trace_flags.sampled:
            _pending(ctx, "jaeger").append(Canary(format_trace_id(context.trace_id), now))
        if self.prometheus is not None:
            _pending(ctx, "prometheus").append(Canary("", now))

    @cached_property
    def _tls(self) -> Tls:
        return self.secured()

    async def _ask(  # noqa: PLR0913 - the parts of one request
        self,
        ctx: Context,
        exchange: Exchange,
        url: Url,
        *,
        method: str = "GET",
        headers: tuple[tuple[str, str], ...] = (),
        judge: Callable[[Response], ProbeError | None] = no_error_status,
    ) -> Response:
        if method == "POST":
            headers = (*headers, ("Content-Type", "application/x-protobuf"))
        request = Request(method, url, headers, body_limit=64 * 1024, redirects=0, tls=self._tls)
        response, problem = await call(ctx, request, exchange, judge)
        if problem is not None:
            raise problem
        return response


async def _spool(record: ExportRecord, measured: list[Measurement]) -> str:
    """Whether each signal is taken: an empty request that the Collector takes says nothing of that."""
    signals = record["signals"].values()
    measured.append(Measurement("spool_age", max((one["oldest_seconds"] for one in signals), default=0.0), "s"))
    for name, signal in record["signals"].items():
        if signal["status"] == "held":
            raise ProbeError(signal["error_type"] or "", f"{name}: {signal['error']}")
    if record["problem"]:
        raise ProbeError("disk_error", f"its disk cannot be used: {record['problem']}")
    return f"requests waiting: {sum(one['waiting'] for one in signals)}"


def _pending(ctx: Context, where: str) -> deque[Canary]:
    found: deque[Canary] = ctx.memory.setdefault(where, deque(maxlen=_MOST_PENDING))
    return found


def _late(pending: deque[Canary], now: float, within: float, what: str, where: str) -> str:
    age = now - pending[0].sent
    if age <= within:
        return f"the {what} of {duration_text(age)} ago is not in {where} yet"
    while pending and now - pending[0].sent > within:
        pending.popleft()
    raise ProbeError(f"{what}_missing", f"the {what} of {duration_text(age)} ago is not in {where}")


def _no_page(response: Response) -> ProbeError | None:
    """A web server, as on the port of Jaeger's UI, answers any path with a page and 200."""
    if (response.header("content-type") or "").lower().startswith("text/html"):
        sentence = f"{response.url} answered with a page: no OTLP receiver is there, whose usual port for HTTP is 4318"
        return no_error_status(response) or ProbeError("unexpected_answer", sentence)
    return no_error_status(response)


def _found_or_not(response: Response) -> ProbeError | None:
    return None if response.status == 404 else no_error_status(response)


def _scalar(response: Response) -> float | None:
    """The one value of an instant query; None where the result is empty."""
    try:
        result: Any = json.loads(response.body)["data"]["result"]
        return float(result[0]["value"][1]) if result else None
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise ProbeError("unexpected_answer", f"{response.url} gave no Prometheus answer") from error
