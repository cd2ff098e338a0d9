"""Runs, state changes and JSON values, as the tables of the store hold them and back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from otelhealth.model import CheckResult, StateChange, Status
from otelhealth.records import ChangeRecord, RunRecord

CODES = {status: number for number, status in enumerate(Status)}
_STATUSES = tuple(status.value for status in Status)
log = logging.getLogger("otelhealth.store")


def run_row(check: int, run: CheckResult) -> tuple[Any, ...]:
    """`check` is the number of its name."""
    told = (_text(run.message[:500]), run.error_type, bytes.fromhex(run.trace_id))
    return (check, run.started, CODES[run.status], run.duration, *told)


def change_row(check: int, change: StateChange) -> tuple[Any, ...]:
    """`check` is the number of its name."""
    codes = (CODES[change.previous], CODES[change.status])
    told = (_text(change.message[:2000]), change.error_type, bytes.fromhex(change.trace_id))
    return (check, change.since, change.at, *codes, *told)


def run_record(row: tuple[Any, ...]) -> RunRecord:
    started, status, duration, message, error_type, trace = row
    return RunRecord(
        started=started,
        status=_STATUSES[status],
        duration_ms=round(duration * 1000),
        message=message,
        error_type=error_type,
        trace_id=(trace or b"").hex(),
    )


def change_record(row: tuple[Any, ...]) -> ChangeRecord:
    at, since, previous, status, message = row
    return ChangeRecord(at=at, since=since, previous=_STATUSES[previous], status=_STATUSES[status], message=message)


def encoded(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Name and JSON text of each; what is no JSON is left out, and said."""
    for name, value in values.items():
        try:
            yield name, json.dumps(value, separators=(",", ":"), default=str)
        except (TypeError, ValueError, RecursionError) as error:
            log.warning("what is to be kept of %s is not JSON: %s", name, error)


def decoded(rows: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What `encoded` gave; what cannot be read is left out, and said."""
    found = {}
    for name, text in rows:
        try:
            found[name] = json.loads(text)
        except ValueError as error:
            log.warning("what was kept of %s cannot be read: %s", name, error)
    return found


def _text(text: str) -> str:
    """Without the lone surrogates that undecodable bytes leave and SQLite refuses."""
    return text.encode("utf-8", "replace").decode()
