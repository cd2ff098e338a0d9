"""A DNS look-up: that a name server answers in time, with the expected code and records.

`fail`: a timeout, an unreachable server, an answer that cannot be read (dns.exception.DNSException, OSError), and
every code or record that is not the expected one.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from otelhealth.checks.base import Check, Context, Quantity, failed, mark_failed, passed
from otelhealth.checks.resolve import literal, resolve
from otelhealth.checks.secret import Wanted
from otelhealth.checks.stream import Attempt, network_error, traced
from otelhealth.errors import OtelHealthError, ProbeError
from otelhealth.model import CheckResult, Measurement
from otelhealth.settings import Settings
from otelhealth.units import duration_text

if TYPE_CHECKING:
    from dns.message import Message

Type = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"]
Code = Literal["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP"]


class Expect(Settings):
    """What the answer must be."""

    rcode: Code = Field("NOERROR", description="The answer's code.")
    answers: tuple[Wanted, ...] = Field((), max_length=50, description="Records that must be among the answers.")
    count: int = Field(1, ge=0, le=1000, description="Records of the asked type at least (with NOERROR).")


class DnsCheck(Check):
    """One question to one name server."""

    summary: ClassVar[str] = "a DNS look-up: code, records, time; over UDP or TCP, of any server"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity(
            "lookup_duration",
            "s",
            "histogram",
            "From the question to the answer.",
            "dns.lookup.duration",
            ("dns.question.name", "error.type"),
        ),
        Quantity("answers", "{record}", "gauge", "Records of the asked type.", "otelhealth.dns.answers"),
        Quantity("ttl", "s", "gauge", "The shortest time to live among the records.", "otelhealth.dns.ttl"),
    )

    kind: Literal["dns"] = "dns"
    query: str = Field(
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9._*-]+$",
        examples=["example.com"],
        description="The name asked for.",
    )
    type: Type = Field("A", description="The record type asked for.")
    server: str | None = Field(
        None, max_length=260, description="`host[:port]` of the name server; default: those of resolv.conf in turn."
    )
    tcp: bool = Field(False, description="Ask over TCP; over UDP a cut answer is asked for again over TCP anyway.")
    expect: Expect = Field(default_factory=Expect.by_default, description="What the answer must be.")

    @field_validator("server")
    @classmethod
    def _server_parses(cls, value: str | None) -> str | None:
        if value is not None:
            host_and_port(value)
        return value

    @model_validator(mode="after")
    def _name_is_a_name(self) -> Self:
        if any(len(label) > 63 or not label for label in self.query.rstrip(".").split(".")):
            raise ValueError(f"query {self.query[:80]!r} is not a DNS name; a label has 1 to 63 characters")
        # 6 MB and 70 ms that only this kind needs: loaded when a check is configured, they do not hold up the loop.
        import dns.asyncbackend  # noqa: PLC0415 - see above
        import dns.asyncquery  # noqa: PLC0415 - see above
        import dns.resolver  # noqa: F401, PLC0415 - see above

        return self

    async def probe(self, ctx: Context) -> CheckResult:
        attempt = Attempt()
        try:
            answer, records, problem = await self._asked(ctx, attempt)
        except ProbeError as error:
            return failed(error.error_type, str(error), self._duration(attempt, error.error_type))
        measured = [self._duration(attempt, problem.error_type if problem else "")]
        measured.append(Measurement("answers", float(len(records)), "{record}"))
        if records:
            measured.append(Measurement("ttl", float(min(rrset.ttl for rrset in answer.answer)), "s"))
        details = {"server": attempt.peer, "rcode": _code(answer), "answers": records[:20]}
        if problem is not None:
            return failed(problem.error_type, str(problem), *measured, details=details)
        said = ", ".join(records[:3]) or _code(answer)
        message = f"{self.query} {self.type} is {said[:200]} in {duration_text(measured[0].value)}"
        return passed(message, *measured, details=details)

    def _duration(self, attempt: Attempt, error_type: str) -> Measurement:
        attributes = [("dns.question.name", self.query)] + ([("error.type", error_type)] if error_type else [])
        took = attempt.phases.get("lookup", 0.0)
        return Measurement("lookup_duration", took, "s", tuple(attributes), label="lookup_duration")

    async def _asked(self, ctx: Context, attempt: Attempt) -> tuple[Message, list[str], ProbeError | None]:
        transport = "tcp" if self.tcp else "udp"
        attributes = {"dns.question.name": self.query, "network.transport": transport}
        with traced(ctx, f"dns {self.type}", attributes, attempt) as span:
            answer = await self._ask(ctx, attempt)
            attempt.enter("")
            records = _records(answer, self.type)
            span.set_attribute("dns.answers", records[:20])
            problem = _problem(f"{self.query} {self.type}", self.expect, _code(answer), records)
            if problem is not None:
                mark_failed(span, problem.error_type)
        return answer, records, problem

    async def _ask(self, ctx: Context, attempt: Attempt) -> Message:
        servers = await self._servers(attempt)
        attempt.enter("lookup")
        for left, (host, port) in zip(range(len(servers), 0, -1), servers, strict=True):
            attempt.peer = host
            try:
                return await self._exchange(host, port, ctx.remaining() / left)
            except ProbeError as error:
                if left == 1:
                    raise
                ctx.log(str(error))
        raise OtelHealthError("resolv.conf names no name server", "set `server`")

    async def _exchange(self, host: str, port: int, seconds: float) -> Message:
        import dns.asyncbackend  # noqa: PLC0415 - see `_name_is_a_name`
        import dns.asyncquery  # noqa: PLC0415 - same
        import dns.exception  # noqa: PLC0415 - same
        import dns.message  # noqa: PLC0415 - same

        question = dns.message.make_query(self.query, self.type, use_edns=0, payload=1232)
        where = f"name server {host}:{port}"
        seconds = max(0.01, min(seconds - 0.01, seconds * 0.95))  # before the deadline that would only say `timeout`
        try:
            if self.tcp:
                return await dns.asyncquery.tcp(question, host, seconds, port)
            # A connected socket, unlike dnspython's own, learns at once that nobody listens.
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            backend = dns.asyncbackend.get_default_backend()
            made = backend.make_socket(family, socket.SOCK_DGRAM, 0, None, (host, port))  # type: ignore[no-untyped-call] # dnspython leaves it so
            async with await made as connected:
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    question, host, seconds, port, ignore_unexpected=True, udp_sock=connected
                )
        except (dns.exception.Timeout, TimeoutError) as error:
            raise ProbeError("dns_timeout", f"{where} did not answer in {duration_text(seconds)}") from error
        except EOFError as error:
            raise ProbeError("connection_closed", f"{where} closed the connection without an answer") from error
        except dns.exception.DNSException as error:
            raise ProbeError("dns_bad_response", f"{where} gave an answer that is none: {str(error)[:100]}") from error
        except OSError as error:
            raise network_error(error, where) from error
        else:
            return answer

    async def _servers(self, attempt: Attempt) -> Sequence[tuple[str, int]]:
        if self.server is None:
            from dns.resolver import Resolver  # noqa: PLC0415 - see `_name_is_a_name`

            return [(str(server), 53) for server in Resolver().nameservers]
        host, port = host_and_port(self.server)
        if not literal(host):
            attempt.enter("dns")
            host = (await resolve(host))[0]
        return [(host, port)]


def host_and_port(text: str) -> tuple[str, int]:
    """From `host`, `host:port`, `::1` or `[::1]:port`; port 53 where none stands. Raises ValueError."""
    if literal(text):
        return text, 53
    host, _, port = text.removeprefix("[").replace("]", "", 1).rpartition(":") if ":" in text else (text, "", "53")
    if not host or not port.isdigit() or not 0 < int(port) < 65536 or (":" in host and not literal(host)):
        raise ValueError(f"{text!r} is not a server; write host, host:port or [::1]:port")
    return host, int(port)


def _problem(asked: str, wanted: Expect, code: str, records: list[str]) -> ProbeError | None:
    if code != wanted.rcode:
        error_type = "unexpected_answer" if code == "NOERROR" else f"dns_{code.lower()}"
        return ProbeError(error_type, f"{asked} answered {code}, expected {wanted.rcode}")
    if code == "NOERROR" and len(records) < wanted.count:
        error_type = "unexpected_answer" if records else "dns_no_answer"
        return ProbeError(error_type, f"{asked} has {len(records)} records, expected {wanted.count} at least")
    seen = {_plain(record) for record in records}
    missing = [record for record in wanted.answers if _plain(record) not in seen]
    if missing:
        found = ", ".join(records[:5]) or "none"
        return ProbeError("unexpected_answer", f"{asked} lacks {missing[0]}, it is {found[:200]}")
    return None


def _code(answer: Message) -> str:
    return answer.rcode().name


def _records(answer: Message, kind: str) -> list[str]:
    return [str(record)[:300] for rrset in answer.answer if rrset.rdtype.name == kind for record in rrset]


def _plain(record: str) -> str:
    return record.strip('"').rstrip(".").lower()
