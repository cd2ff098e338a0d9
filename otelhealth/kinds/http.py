"""An HTTP endpoint: its status, headers and body, each phase of the request, and its certificate's days.

`fail`: every ProbeError of the wire (name, connection, TLS, broken answers) and every expectation that is not met.
"""

from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from otelhealth.checks import resolve, tls
from otelhealth.checks.base import Check, Context, Quantity, failed, passed
from otelhealth.checks.calls import call
from otelhealth.checks.http import ALPN, Exchange
from otelhealth.checks.phases import days_measurement, days_quantity, phase_measurements, phase_quantities
from otelhealth.checks.request import HeaderValue, Request, Response, header_problem
from otelhealth.checks.response import Expect, PathField, ResponseJudge
from otelhealth.checks.tls import TlsOptions
from otelhealth.checks.url import HttpUrl
from otelhealth.errors import ProbeError
from otelhealth.model import CheckResult, Measurement
from otelhealth.units import Size, duration_text, size_text


class HttpCheck(Check, TlsOptions):
    """GET (or another method) of one URL on a new connection."""

    summary: ClassVar[str] = "an HTTP endpoint: status, headers, text, regex, JSON; phases, redirects, certificate"
    requests: ClassVar[bool] = True
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity(
            "request_duration",
            "s",
            "histogram",
            "The whole request with its redirects.",
            "http.client.request.duration",
            ("http.request.method", "server.address", "server.port", "http.response.status_code", "error.type"),
        ),
        days_quantity("certificate_days"),
        Quantity("body_size", "By", "gauge", "Bytes of the body that were read.", ""),
        *phase_quantities("dns", "connect", "tls", "first_byte", "transfer"),
    )
    default_levels: ClassVar[dict[str, dict[str, str]]] = {"certificate_days": {"warn": "< 14"}}

    kind: Literal["http"] = "http"
    url: HttpUrl = Field(description="http(s) URL; user info in it is sent as basic auth; proxies are not used.")
    method: str = Field("GET", pattern=r"^[A-Z]{1,20}$", examples=["GET"], description="Request method.")
    headers: dict[str, HeaderValue] = Field(
        default_factory=dict, max_length=50, description="Request headers; their values are never shown."
    )
    body: SecretStr | None = Field(None, max_length=1024 * 1024, description="Request body; never shown.")
    expect: Expect = Field(default_factory=Expect.by_default, description="What the answer must be.")
    version: PathField | None = Field(
        None, description="JSON path of the target's version, shown in `details.version`."
    )
    redirects: int = Field(10, ge=0, le=30, description="Redirects followed at most; 0: the redirect itself is judged.")
    body_limit: Size = Field(1024 * 1024, ge=1, le=64 * 1024 * 1024, description="Of the body at most this is read.")
    ip_version: Literal[4, 6] | None = Field(None, description="Use only addresses of this kind.")

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.method in ("CONNECT", "TRACE"):
            raise ValueError(f"method {self.method} is not for checks; use GET, HEAD or POST")
        for name, value in self.headers.items():
            if problem := header_problem(name, value.get_secret_value()):
                raise ValueError(f"headers: {problem}")
        resolve.prepare(self.url.host)
        if self.url.scheme == "https":
            tls.prepare(self.secured(), ALPN)
        return self

    @cached_property
    def _request(self) -> Request:
        return Request(
            self.method,
            self.url,
            tuple((name, value.get_secret_value()) for name, value in self.headers.items()),
            self.body.get_secret_value().encode() if self.body else b"",
            body_limit=self.body_limit,
            redirects=self.redirects,
            tls=self.secured(),
            family=self.ip_version,
        )

    @cached_property
    def _judge(self) -> ResponseJudge:
        return ResponseJudge(self.expect, self.version)

    async def probe(self, ctx: Context) -> CheckResult:
        exchange = Exchange()
        try:
            response, problem = await call(ctx, self._request, exchange, self._judge.problem)
        except ProbeError as error:
            measured = self._measured(ctx, exchange, None, error.error_type)
            details = {"peer": exchange.peer} if exchange.peer else {}
            return failed(error.error_type, str(error), *measured, details=details)
        measured = self._measured(ctx, exchange, response, problem.error_type if problem else "")
        details = self._details(exchange, response)
        if problem is not None:
            return failed(problem.error_type, str(problem), *measured, details=details)
        message = f"{response.status} in {duration_text(measured[0].value)}"
        if response.truncated:
            message += f", only {size_text(self.body_limit)} of the body read"
        return passed(message, *measured, details=details)

    def _details(self, exchange: Exchange, response: Response) -> dict[str, Any]:
        details: dict[str, Any] = {"status_code": response.status, "peer": exchange.peer}
        if exchange.hops:
            details["redirects"] = [
                {"url": str(hop.url), "status_code": hop.status, "duration_ms": round(hop.duration * 1000, 3)}
                for hop in exchange.hops
            ]
            details["url"] = str(response.url)
        if response.truncated:
            details["truncated"] = True
        if (version := self._judge.version_of(response)) is not None:
            details["version"] = version
        return details

    def _measured(
        self, ctx: Context, exchange: Exchange, response: Response | None, error_type: str
    ) -> tuple[Measurement, ...]:
        attributes = [
            ("http.request.method", self.method),
            ("server.address", self.url.host),
            ("server.port", str(self.url.port)),
        ]
        if response is not None:
            attributes.append(("http.response.status_code", str(response.status)))
        if error_type:
            attributes.append(("error.type", error_type))
        phases = exchange.phases
        found = [
            Measurement("request_duration", sum(phases.values()), "s", tuple(attributes), label="request_duration")
        ]
        found += phase_measurements(exchange)
        if response is not None:
            found.append(Measurement("body_size", float(len(response.body)), "By"))
        if exchange.expires is not None:
            found.append(days_measurement("certificate_days", exchange.expires, ctx.clock.time()))
        return tuple(found)
