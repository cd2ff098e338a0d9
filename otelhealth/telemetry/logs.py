"""The agent's events: log records, made only when something changes, in the context of the run that showed it."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from otelhealth.checks.base import Check
from otelhealth.clock import Clock
from otelhealth.errors import redacted
from otelhealth.model import CheckResult, StateChange, Status
from otelhealth.redaction import Redactor
from otelhealth.telemetry import names
from otelhealth.telemetry.tracing import exception_type
from otelhealth.telemetry.wire import NANO, any_value, attributes, fixed64, integer, message, tag, text, varint


class Severity(NamedTuple):
    """By the log data model's numbers and short names."""

    number: int
    text: str


INFO, WARN, ERROR = Severity(9, "INFO"), Severity(13, "WARN"), Severity(17, "ERROR")
SEVERITY = {Status.PASS: INFO, Status.WARN: WARN, Status.UNKNOWN: WARN, Status.FAIL: ERROR}
_EVIDENCE = 2_000  # characters of one text


class Events:
    """Makes the records and hands them to `put`; without one nothing is made."""

    def __init__(self, put: Callable[[bytes], None] | None, clock: Clock, redact: Redactor | None = None) -> None:
        self._redact = Redactor() if redact is None else redact
        self._put = put
        self._clock = clock

    def state_change(
        self, change: StateChange, check: Check, result: CheckResult | None, snapshot: Mapping[str, Any] | None = None
    ) -> None:
        """A check's debounced state moved. But for `pass` the event carries the evidence of `result` (None where no
        run made it: stale) and `snapshot`, the resource use at that time (`system.cpu.utilization` ...)."""
        told = of_change(change, check)
        if result is not None:
            told[names.CHECK_DURATION] = result.duration
            if change.status is not Status.PASS:
                told |= _evidence(check, result)
        if change.status is not Status.PASS:
            told |= snapshot or {}
        body = f"check {change.name} went from {change.previous.value} to {change.status.value}"
        body += f": {change.message}" if change.message else ""
        self._emit(
            names.EVENT_STATE_CHANGE, SEVERITY[change.status], body, told, change.at, change.trace_id, change.span_id
        )

    def exception(self, check: Check, result: CheckResult, error: BaseException) -> None:
        """A probe raised what it should not, a fault of ours or of user code."""
        kind = exception_type(error)
        stack = redacted("".join(traceback.format_exception(error)))
        told = {
            names.CHECK_NAME: check.name,
            names.CHECK_KIND: check.kind,
            "exception.type": kind,
            "exception.message": self._redact(redacted(str(error)))[:_EVIDENCE],
            "exception.stacktrace": self._redact(stack)[-4 * _EVIDENCE :],
        }
        body = f"check {check.name} raised {kind}"
        self._emit(names.EVENT_EXCEPTION, ERROR, body, told, None, result.trace_id, result.span_id)

    def agent_start(self, body: str) -> None:
        self._emit(names.EVENT_START, INFO, body, {}, None)

    def agent_stop(self, body: str) -> None:
        self._emit(names.EVENT_STOP, INFO, body, {}, None)

    def _emit(  # noqa: PLR0913, PLR0917 - the parts of a record
        self,
        name: str,
        severity: Severity,
        body: str,
        told: Mapping[str, Any],
        at: float | None,
        trace_id: str = "",
        span_id: str = "",
    ) -> None:
        if self._put is None:
            return
        now = self._clock.time()
        self._put(
            encoded_record(
                at=now if at is None else at,
                observed=now,
                severity=severity,
                body=self._redact(body),
                told=self._redact.value(told),
                event=name,
                trace_id=trace_id,
                span_id=span_id,
            )
        )


def of_change(change: StateChange, check: Check) -> dict[str, Any]:
    """What is told of every change: attributes by their names."""
    told: dict[str, Any] = {
        names.CHECK_NAME: change.name,
        names.CHECK_KIND: check.kind,
        names.CHECK_TIER: int(check.tier),
        names.CHECK_STATE: change.status.value,
        names.CHECK_PREVIOUS_STATE: change.previous.value,
        names.CHECK_SINCE: change.since,
    }
    if change.error_type and change.status is not Status.PASS:
        told[names.ERROR_TYPE] = change.error_type
    if check.peer:
        told[names.PEER] = check.peer
    return told


def encoded_record(  # noqa: PLR0913 - the parts of a record
    *,
    at: float,
    observed: float,
    severity: Severity,
    body: str,
    told: Mapping[str, Any],
    event: str = "",
    trace_id: str = "",
    span_id: str = "",
    flags: int = 1,
) -> bytes:
    """A LogRecord, as field 2 of its scope; times are Unix seconds, ids hex."""
    parts = [
        fixed64(1, int(at * NANO)),
        fixed64(11, int(observed * NANO)),
        integer(2, severity.number),
        text(3, severity.text),
        message(5, any_value(body)),
        attributes(6, told.items()),
    ]
    if event:
        parts.append(text(12, event))
    if trace_id:
        parts += (message(9, bytes.fromhex(trace_id)), message(10, bytes.fromhex(span_id)))
        parts.append(tag(8, 5) + flags.to_bytes(4, "little"))
    record = b"".join(parts)
    return b"\x12" + varint(len(record)) + record


def _evidence(check: Check, result: CheckResult) -> dict[str, Any]:
    """What was asserted and what was seen. Details and measurements come redacted from the kind."""
    seen: dict[str, Any] = {"message": result.message[:_EVIDENCE]}
    seen |= {key: _short(value) for key, value in list(result.details.items())[:32]}
    seen |= {measurement.key: measurement.value for measurement in result.measurements[:64]}
    asserted: dict[str, Any] = {name: _ranges(level.warn, level.fail) for name, level in check.levels.items()}
    for name, ranges in check.default_levels.items():
        asserted.setdefault(name, _ranges(ranges.get("warn"), ranges.get("fail")))
    expect = getattr(check, "expect", None)
    if expect is not None:
        asserted["expect"] = _plain(expect)
    asserted["timeout"] = check.timeout
    asserted["max_response_time"] = check.threshold.max_response_time
    return {names.CHECK_ASSERTED: asserted, names.CHECK_SEEN: seen}


def _ranges(warn: str | None, fail: str | None) -> dict[str, str]:
    return {name: value for name, value in (("warn", warn), ("fail", fail)) if value}


def _plain(value: object) -> object:
    """What is expected by default counts too: `< 400` of an HTTP status."""
    if not isinstance(value, BaseModel):
        return value
    return {key: each for key, each in value.model_dump(mode="json", exclude_none=True).items() if each not in ({}, [])}


def _short(value: object) -> object:
    return value[:_EVIDENCE] if isinstance(value, str) else value
