"""The log of a process that the agent has to itself: all its records, from the first one on, go one way."""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from otelhealth.errors import OtelHealthError
from otelhealth.logs.lines import JsonFormatter, TextFormatter
from otelhealth.logs.output import LineHandler, LogFile, Target, Writer, to_descriptor
from otelhealth.logs.settings import LogSettings
from otelhealth.redaction import Redactor

_MOST_HELD = 1000
log = logging.getLogger("otelhealth")


class _Held(logging.Handler):
    """Keeps records until it is known how they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[logging.LogRecord] = deque(maxlen=_MOST_HELD)

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class ProcessLog:
    """Holds back what is said while the configuration is read, then tells it and all further as `open` is told to.

    `level` and `format` are the command line's, which come before the configuration's.
    """

    def __init__(self, level: str | None = None, form: str | None = None) -> None:
        self._chosen = {name: value for name, value in (("level", level), ("format", form)) if value}
        self._held: _Held | None = _Held()
        self._writer: Writer | None = None
        self.is_json = False
        logging.root.setLevel(logging.WARNING)
        logging.root.addHandler(self._held)
        log.setLevel((level or "info").upper())
        logging.raiseExceptions = False  # a log that cannot be written is no reason to stop watching

    def open(self, settings: LogSettings, resource: Mapping[str, str], redact: Redactor) -> None:
        """Raises OtelHealthError where the file cannot be opened."""
        settings = settings.model_copy(update=self._chosen)
        self.is_json = settings.format == "json"
        formatter = JsonFormatter(resource, redact) if self.is_json else TextFormatter(redact)
        log.setLevel(settings.level.upper())
        self._writer = Writer(_target(settings), lambda lines: formatter.format(_lost(lines)) + "\n")
        handler = LineHandler(self._writer, formatter)
        logging.root.addHandler(handler)
        self._tell_held(handler)
        _hear_all()

    def close(self, within: float = 1.0) -> None:
        """Write what is left, in `within` seconds. One that was never opened tells what it holds, as text on stderr."""
        if self._writer is not None:
            self._writer.close(within)
        elif self._held is not None:
            writer = Writer(to_descriptor(2), "{} lines are lost\n".format)
            self._tell_held(LineHandler(writer, TextFormatter()))
            writer.close(within)

    def _tell_held(self, handler: logging.Handler) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        logging.root.removeHandler(held)
        for record in held.records:
            if record.levelno >= logging.getLogger(record.name).getEffectiveLevel():
                handler.handle(record)


def _target(settings: LogSettings) -> Target:
    if settings.file is None:
        return to_descriptor(2)
    try:
        return LogFile(settings.file, settings.max_size, settings.keep).write
    except OSError as error:
        sentence = f"the log file {settings.file} cannot be opened: {error.strerror}"
        raise OtelHealthError(sentence, "name one that this user may write, as log.file") from error


def _lost(lines: int) -> logging.LogRecord:
    told = f"{lines} lines of the log are lost: it was not read, or could not be written, as fast as it came"
    return logging.LogRecord(log.name, logging.WARNING, __file__, 0, told, None, None)


def _hear_all() -> None:
    """Warnings, and exceptions that nobody caught, are told like all else: in one form, without secrets."""
    logging.captureWarnings(True)
    sys.excepthook = lambda *told: log.critical("otelhealth ends by an exception", exc_info=told)
    threading.excepthook = _of_thread
    sys.unraisablehook = _unraisable


def _of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        log.error(
            "the thread %s ended by an exception",
            told.thread.name if told.thread else "",
            exc_info=(told.exc_type, told.exc_value, told.exc_traceback),
        )


def _unraisable(told: Any) -> None:
    log.error("ignored: %s", told.err_msg or "an exception", exc_info=told.exc_value)
