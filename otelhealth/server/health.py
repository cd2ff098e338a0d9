"""`/health*`: what the agent knows already, as JSON. Nothing here looks at a target."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from otelhealth.clock import Clock
from otelhealth.errors import OtelHealthError, TooOftenError
from otelhealth.model import Served, ServiceStatus
from otelhealth.records import BriefReport, HealthReport, LiveReport
from otelhealth.server.responses import Response, content_type, encode, encode_slowly, refusal
from otelhealth.server.together import Together
from otelhealth.telemetry.propagation import continued
from otelhealth.units import parse_duration

_SERVING = (ServiceStatus.HEALTHY, ServiceStatus.DEGRADED)
MOST_RUNS = 1000  # of one history


def status_code(report: BriefReport | HealthReport) -> int:
    """200 only where the service does its work."""
    serving = report["status"] in _SERVING and not report.get("starting") and not report.get("draining")
    return 200 if serving else 503


class Plain:
    """A plain probe's endpoint: encoded when what it says may have changed, at most once a second otherwise."""

    def __init__(self, make: Callable[[int, int], tuple[int, bytes]], served: Served, clock: Clock) -> None:
        self._make = make
        self._served = served
        self._clock = clock
        self._made_for: tuple[int, int, int] | None = None
        self._responses: dict[bytes, Response] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now = (self._served.revision(), int(self._clock.time()), int(self._served.uptime()))
        if now != self._made_for:
            self._responses.clear()
            self._made_for = now
        kind = content_type(scope)
        response = self._responses.get(kind)
        if response is None:
            response = self._responses[kind] = Response(*self._make(now[1], now[2]), kind)
        await response(scope, receive, send)


class Live:
    """`/health/live`: asks the process each time, nothing else."""

    def __init__(self, served: Served, clock: Clock) -> None:
        self._served = served
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        alive = self._served.alive()
        report: LiveReport = {
            "status": "alive" if alive else "dead",
            "timestamp": int(self._clock.time()),
            "uptime_seconds": int(self._served.uptime()),
        }
        await Response(200 if alive else 503, encode(report), content_type(scope))(scope, receive, send)


def brief(served: Served, clock: Clock) -> Plain:
    """`/health`."""

    def make(timestamp: int, uptime: int) -> tuple[int, bytes]:
        report = served.brief()
        return status_code(report), encode({**report, "timestamp": timestamp, "uptime_seconds": uptime})

    return Plain(make, served, clock)


def group(name: str, served: Served, clock: Clock) -> Plain:
    """`/health/ready`, `/health/startup`."""

    def make(_timestamp: int, _uptime: int) -> tuple[int, bytes]:
        report = served.group(name)
        return 200 if report["status"] == "ready" else 503, encode(report)

    return Plain(make, served, clock)


class Details:
    """`/health/detailed` and `/health/checks/...`: for those who may see them."""

    def __init__(self, served: Served, clock: Clock) -> None:
        self._served = served
        self._clock = clock
        self._reports = Together(self._report)

    async def report(self, request: Request) -> Response:
        return Response(*await self._reports.ask(), content_type(request.scope))

    async def _report(self) -> tuple[int, bytes]:
        report = self._served.report()
        return status_code(report), await encode_slowly(report, "checks")

    async def check(self, request: Request) -> Response:
        name = request.path_params["name"]
        record = self._served.record(name)
        return _unknown(name) if record is None else Response(200, encode(record), content_type(request.scope))

    async def history(self, request: Request) -> Response:
        name = request.path_params["name"]
        if self._served.record(name) is None:
            return _unknown(name)
        try:
            since, limit = self._since(request.query_params.get("since", "0")), _limit(request.query_params)
        except ValueError as error:
            return refusal(400, str(error), "such as ?since=1h&limit=100, or since= Unix seconds")
        try:
            found = await self._served.history(name, since, limit)
        except OtelHealthError as error:
            return refusal(503, error.sentence, error.remedy or "the agent's log says more of the store")
        return Response(200, encode(found))

    async def run(self, request: Request) -> Response:
        name = request.path_params["name"]
        record = self._served.record(name)
        if record is None:
            return _unknown(name)
        if not record["enabled"]:
            return refusal(409, f"the check {name} is disabled", "set enabled: true in its config")
        try:
            with continued(request.headers):
                records = await self._served.run_checks(name)
        except TooOftenError as error:
            wait = [(b"retry-after", b"%d" % math.ceil(error.wait))]
            return refusal(429, error.sentence, error.remedy, wait)
        except OtelHealthError as error:
            return refusal(503, error.sentence, error.remedy)
        return Response(200, encode(records[name]), content_type(request.scope))

    def _since(self, text: str) -> float:
        """Unix seconds, from just these or from a duration that reaches back from now."""
        try:
            seconds = float(text)
        except ValueError:
            return self._clock.time() - parse_duration(text)
        if not math.isfinite(seconds):
            raise ValueError(f"{text!r} is not a time")
        return seconds


def _limit(parameters: Mapping[str, str]) -> int:
    text = parameters.get("limit", "100")
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST_RUNS:
        raise ValueError(f"limit is {text!r}; it goes from 1 to {MOST_RUNS}")
    return int(text)


def _unknown(name: str) -> Response:
    return refusal(404, f"there is no check {name!r}", "the names are the keys of `checks` in /health/detailed")
