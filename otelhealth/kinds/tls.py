"""A TLS server's certificate: the days it has left, whether its chain is trusted and its name fits.

`fail`: every ProbeError of dialling; where the certificate alone is refused, a second connection that trusts anything
reads what is wrong with it.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from otelhealth.checks import certificate, resolve, tls
from otelhealth.checks.base import Check, Context, Quantity, failed, passed
from otelhealth.checks.certificate import Certificate, peer_certificate
from otelhealth.checks.phases import days_measurement, days_quantity, phase_measurements, phase_quantities
from otelhealth.checks.stream import Attempt, Endpoint, dial, traced
from otelhealth.checks.tls import Tls, TlsOptions
from otelhealth.errors import ProbeError
from otelhealth.model import CheckResult

_OF_THE_CERTIFICATE = {"tls_expired", "tls_hostname_mismatch", "tls_not_yet_valid", "tls_untrusted"}


class TlsCheck(Check, TlsOptions):
    """A handshake, and the certificate it shows."""

    summary: ClassVar[str] = "a TLS certificate: days left, chain, host name"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        days_quantity("days_left"),
        *phase_quantities("dns", "connect", "tls"),
    )
    default_levels: ClassVar[dict[str, dict[str, str]]] = {"days_left": {"warn": "< 14", "fail": "< 3"}}

    kind: Literal["tls"] = "tls"
    host: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9.:_-]+$",
        examples=["example.com"],
        description="Name or address.",
    )
    port: int = Field(443, ge=1, le=65535, description="Port.")
    ip_version: Literal[4, 6] | None = Field(None, description="Use only addresses of this kind.")

    @model_validator(mode="after")
    def _load(self) -> Self:
        resolve.prepare(self.host)
        certificate.prepare()
        tls.prepare(self.secured())
        return self

    async def probe(self, ctx: Context) -> CheckResult:
        attempt = Attempt()
        refused: ProbeError | None = None
        try:
            try:
                certificate, spoken = await self._look(ctx, attempt, self.secured())
            except ProbeError as error:
                if error.error_type not in _OF_THE_CERTIFICATE:
                    raise
                refused = error
                certificate, spoken = await self._look(ctx, Attempt(), self.secured()._replace(verify=False))
        except ProbeError as error:
            worse = refused or error
            return failed(worse.error_type, str(worse), *phase_measurements(attempt))
        days = days_measurement("days_left", certificate.not_after, ctx.clock.time())
        measured = (days, *phase_measurements(attempt))
        details = _details(certificate) | spoken | {"peer": attempt.peer, "verified": self.verify_tls and not refused}
        if refused is not None:
            return failed(refused.error_type, str(refused), *measured, details=details)
        if days.value < 0:
            return failed(
                "tls_expired", f"the certificate expired {-days.value:.1f} days ago", *measured, details=details
            )
        return passed(f"{days.value:.0f} days left, until {_date(certificate.not_after)}", *measured, details=details)

    async def _look(self, ctx: Context, attempt: Attempt, tls: Tls) -> tuple[Certificate, dict[str, Any]]:
        endpoint = Endpoint(self.host, self.port, family=self.ip_version)
        attributes = {"server.address": self.host, "server.port": self.port, "network.transport": "tcp"}
        with traced(ctx, f"tls {endpoint}", attributes, attempt) as span:
            transport = await dial(asyncio.Protocol(), endpoint, attempt, tls)
            try:
                peer: ssl.SSLObject = transport.get_extra_info("ssl_object")
                version, cipher = peer.version() or "", (peer.cipher() or ("",))[0]
                span.set_attribute("tls.protocol.name", version.partition("v")[0].lower())
                span.set_attribute("tls.protocol.version", version.partition("v")[2])
                return peer_certificate(peer), {"protocol": version, "cipher": cipher}
            finally:
                transport.abort()


def _details(certificate: Certificate) -> dict[str, Any]:
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "names": list(certificate.names),
        "not_before": _date(certificate.not_before),
        "not_after": _date(certificate.not_after),
        "serial": certificate.serial,
    }


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
