"""Log records over OTLP, for the agent's own loggers or those of a program: bounded in rate, and never in a loop."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from logging.handlers import QueueHandler

from otelhealth.logs.record import attributes, made_in, message, severity
from otelhealth.redaction import Redactor
from otelhealth.telemetry.export import ItemExporter
from otelhealth.telemetry.logs import WARN, encoded_record
from otelhealth.telemetry.wire import Scoped

OWN = "otelhealth"
# What an export itself says would come back as a record to export; changes of state leave as events already.
NEVER = ("otelhealth.telemetry", "otelhealth.spool", "otelhealth.state", "opentelemetry")
OF_A_PROGRAM = (OWN, "opentelemetry")  # the agent's own leave by a handler of their own
RATE, BURST = 20.0, 200.0  # records a second, and at once: of the agent's own
SAY_EVERY = 10.0  # s between two records that say how many were left out
RATE_LIMITED = "rate_limited"


class OtlpHandler(QueueHandler):
    """Sends records as OTLP log records, with the logger's name as their scope.

    Not those of `never` and the loggers below them: by default all that speak of exporting. At most `rate` records a
    second leave, and `burst` at once; further ones are counted (otel.sdk.exporter.log.exported with error.type
    rate_limited), and now and then, and at `close`, a record says how many.
    """

    def __init__(  # noqa: PLR0913 - settings, each with its default
        self,
        items: ItemExporter,
        redact: Redactor | None = None,
        *,
        level: int = logging.NOTSET,
        never: Iterable[str] = NEVER,
        rate: float = RATE,
        burst: float = BURST,
    ) -> None:
        super().__init__(items)  # type: ignore[arg-type]  # `enqueue` alone knows what it is
        self.setLevel(level)
        self._items = items
        self._redact = Redactor() if redact is None else redact
        self._never = tuple(never)
        self._rate, self._burst = rate, burst
        self._room, self._filled = burst, time.monotonic()
        self._left_out, self._said = 0, -SAY_EVERY

    def emit(self, record: logging.LogRecord) -> None:
        if any(record.name == name or record.name.startswith(f"{name}.") for name in self._never):
            return
        if not self.has_room():
            self._left_out += 1
            self._items.leave_out(RATE_LIMITED, 1)
            return
        self._room -= 1
        if self._left_out and self._filled - self._said >= SAY_EVERY:
            self._say_left_out()
        super().emit(record)

    def prepare(self, record: logging.LogRecord) -> Scoped:
        made = made_in(record)
        item = encoded_record(
            at=record.created,
            observed=record.created,
            severity=severity(record),
            body=message(record, self._redact),
            told=attributes(record, self._redact),
            trace_id=made.trace_id if made else "",
            span_id=made.span_id if made else "",
            flags=(made.flags if made else 0) or 0,
        )
        return Scoped(record.name[:200], item)

    def enqueue(self, record: Scoped) -> None:  # type: ignore[override]  # what `prepare` gave
        self._items.put(record)

    def close(self) -> None:
        if self._left_out:
            self._say_left_out()
        super().close()

    def has_room(self) -> bool:
        """Whether another record may leave now."""
        now = time.monotonic()
        self._room = min(self._burst, self._room + (now - self._filled) * self._rate)
        self._filled = now
        return self._room >= 1

    def _say_left_out(self) -> None:
        at, self._said = time.time(), self._filled
        count, self._left_out = self._left_out, 0
        told = f"{count} log records were left out, more than {self._rate:g} a second came"
        self._items.put(
            Scoped("otelhealth.logs", encoded_record(at=at, observed=at, severity=WARN, body=told, told={}))
        )


def program_handler(items: ItemExporter | None, redact: Redactor, level: int) -> logging.Handler:
    """For the loggers of a program that has an agent in it; one that does nothing where no logs are exported."""
    if items is None:
        return logging.NullHandler()
    return OtlpHandler(items, redact, level=level, never=OF_A_PROGRAM, rate=1_000.0, burst=5_000.0)


class OwnHandler(OtlpHandler):
    """On the logger `otelhealth`, from its making to `close`.

    In a program without any logging the agent's warnings still show on stderr.
    """

    def __init__(self, items: ItemExporter, redact: Redactor, level: str) -> None:
        super().__init__(items, redact)
        self._least = logging.getLevelNamesMapping()[level.upper()]
        self._logger = logging.getLogger(OWN)
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._least:
            super().emit(record)
        last = logging.lastResort
        alone = not logging.root.handlers and self._logger.handlers == [self]
        if alone and last is not None and record.levelno >= last.level:
            last.handle(record)

    def close(self) -> None:
        self._logger.removeHandler(self)
        super().close()
