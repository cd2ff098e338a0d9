"""A TCP port or unix socket: that it takes connections, speaks TLS where asked to, and gives the expected answers.

`fail`: every ProbeError of dialling (name, connection, TLS) and every answer that is not the expected one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, model_validator

from otelhealth.checks import resolve, tls
from otelhealth.checks.base import Check, Context, Quantity, failed, passed
from otelhealth.checks.phases import days_measurement, days_quantity, phase_measurements, phase_quantities
from otelhealth.checks.search import Pattern, Search
from otelhealth.checks.secret import Wanted
from otelhealth.checks.stream import Attempt, Endpoint, Inbox, dial, traced
from otelhealth.checks.tls import TlsOptions, not_after
from otelhealth.errors import ProbeError
from otelhealth.model import CheckResult, Measurement
from otelhealth.settings import Settings
from otelhealth.units import LocalPath, duration_text


class Turn(Settings):
    """One turn of a dialogue: say something, then wait for an answer."""

    send: SecretStr | None = Field(None, max_length=64 * 1024, description="Text to send; never shown.")
    expect: Wanted | None = Field(None, min_length=1, max_length=4096, description="Text that the answer holds.")
    regex: Pattern | None = Field(None, description="Regular expression that is found in the answer.")

    @model_validator(mode="after")
    def _awaits_one_thing(self) -> Self:
        if self.expect is not None and self.regex is not None:
            raise ValueError("give `expect` or `regex`, not both")
        return self

    @property
    def is_empty(self) -> bool:
        return (self.send, self.expect, self.regex) == (None, None, None)

    async def take(self, transport: asyncio.Transport, inbox: Inbox) -> bytes:
        """The answer up to the end of what is awaited; empty where nothing is. Raises ProbeError."""
        if self.send is not None:
            transport.write(self.send.get_secret_value().encode())
        awaits = self.awaits()
        return b"" if awaits is None else await inbox.until(awaits)

    def awaits(self) -> Callable[[bytes], int] | None:
        """How many bytes up to and with the awaited ones have come; 0: not yet."""
        if self.expect is not None:
            text = self.expect.encode()
            return lambda data: found + len(text) if (found := data.find(text)) >= 0 else 0
        if self.regex is not None:
            wanted = Search(self.regex.encode())
            return lambda data: wanted.end(data) or 0
        return None


class TcpCheck(Check, Turn, TlsOptions):
    """Connects, and speaks the dialogue if one is given. A single turn is its own."""

    summary: ClassVar[str] = "a TCP port or unix socket: connects, with TLS and a send/expect dialogue if wanted"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        days_quantity("certificate_days"),
        *phase_quantities("dns", "connect", "tls", "dialogue"),
    )
    default_levels: ClassVar[dict[str, dict[str, str]]] = {"certificate_days": {"warn": "< 14"}}

    kind: Literal["tcp"] = "tcp"
    host: str = Field(
        "", max_length=253, pattern=r"^[A-Za-z0-9.:_-]*$", examples=["127.0.0.1"], description="Name or address."
    )
    port: int = Field(0, ge=0, le=65535, description="Port.")
    path: LocalPath | None = Field(None, max_length=107, description="A unix socket instead of `host` and `port`.")
    tls: bool = Field(False, description="Speak TLS.")
    dialogue: tuple[Turn, ...] = Field((), max_length=20, description="Several turns of send and expect.")
    ip_version: Literal[4, 6] | None = Field(None, description="Use only addresses of this kind.")

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        if bool(self.path) == bool(self.host and self.port) or (self.path and (self.host or self.port)):
            raise ValueError("a tcp check needs `host` and `port`, or `path`")
        if self.dialogue and not self.is_empty:
            raise ValueError("give a `dialogue`, or `send`, `expect` and `regex` for a single turn, not both")
        resolve.prepare(self.host or "localhost")
        if self.tls:
            tls.prepare(self.secured())
        return self

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.host, self.port, self.path or "", self.ip_version)

    @property
    def turns(self) -> tuple[Turn, ...]:
        return self.dialogue if self.is_empty else (self,)

    async def probe(self, ctx: Context) -> CheckResult:
        attempt = Attempt()
        measured: list[Measurement] = []
        try:
            answer = await self._speak(ctx, attempt, measured)
        except ProbeError as error:
            details = {"peer": attempt.peer} if attempt.peer else {}
            return failed(error.error_type, str(error), *measured, *phase_measurements(attempt), details=details)
        took = duration_text(sum(attempt.phases.values()))
        message = f"{'answered as expected' if self.turns else 'connected'} in {took}"
        details = {"peer": attempt.peer} | ({"answer": answer} if answer else {})
        return passed(message, *measured, *phase_measurements(attempt), details=details)

    async def _speak(self, ctx: Context, attempt: Attempt, measured: list[Measurement]) -> str:
        endpoint = self.endpoint
        inbox, answer = Inbox(str(endpoint)), b""
        with traced(ctx, f"tcp {endpoint}", self._attributes(endpoint), attempt):
            transport = await dial(inbox, endpoint, attempt, self.secured() if self.tls else None)
            try:
                peer = transport.get_extra_info("ssl_object")
                if isinstance(peer, ssl.SSLObject) and (expires := not_after(peer)) is not None:
                    measured.append(days_measurement("certificate_days", expires, ctx.clock.time()))
                attempt.enter("dialogue" if self.turns else "")
                for turn in self.turns:
                    answer = await turn.take(transport, inbox)
            finally:
                attempt.heard = str(inbox)
                transport.abort()
        return answer.decode(errors="replace").strip()[-200:]

    @staticmethod
    def _attributes(endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.path:
            return {"server.address": endpoint.path, "network.transport": "unix"}
        return {"server.address": endpoint.host, "server.port": endpoint.port, "network.transport": "tcp"}
