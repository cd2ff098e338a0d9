"""Where lines go: a thread writes them to stderr or a file, so that a reader or disk that stalls holds up no check."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue

_MOST = 4 * 2**20  # characters that may wait to be written
_AGAIN = 0.05  # s until a descriptor that does not block is tried again
Target = Callable[[str], None]


class Writer:
    """Takes lines, never blocks, and writes them in their order; `lost` says in a line how many it had to leave out."""

    def __init__(self, target: Target, lost: Callable[[int], str]) -> None:
        self._target = target
        self._tell_lost = lost
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._taken = self._written = 0  # characters, each counted by one thread only
        self._refused = self._failed = self._told = 0  # lines
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="otelhealth-log", daemon=True)

    def put(self, line: str) -> None:
        """Have a line written, with its line end. One caller at a time, as a handler's lock sees to."""
        if self._closed:
            if not self._thread.is_alive():
                self._write(line)
            return
        if self._thread.ident is None:
            self._thread.start()
        if self._taken - self._written + len(line) > _MOST:
            self._refused += 1
            return
        self._taken += len(line)
        self._queue.put(line)

    def close(self, within: float) -> bool:
        """Whether all was written in `within` seconds; else the thread is left behind, and later lines are lost.

        After it `put` writes by itself: the last words of a process.
        """
        self._closed = True
        if self._thread.ident is not None:
            self._queue.put(None)
            self._thread.join(within)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (line := self._queue.get()) is not None:
            self._failed += not self._write(line)
            self._written += len(line)
            if self._queue.empty():
                self._say_lost()
        self._say_lost()

    def _say_lost(self) -> None:
        lost = self._refused + self._failed - self._told
        if lost and self._write(self._tell_lost(lost)):
            self._told += lost

    def _write(self, line: str) -> bool:
        try:
            self._target(line)
        except (OSError, ValueError):  # ValueError: of a file that a failed rotation left closed
            return False
        return True


class LineHandler(QueueHandler):
    """Formats records where they are made, in their span's context, and has a writer write them."""

    def __init__(self, writer: Writer, formatter: logging.Formatter) -> None:
        super().__init__(writer)  # type: ignore[arg-type]  # `enqueue` alone knows what it is
        self.setFormatter(formatter)
        self._writer = writer

    def prepare(self, record: logging.LogRecord) -> str:
        return self.format(record) + "\n"

    def enqueue(self, record: str) -> None:  # type: ignore[override]  # what `prepare` gave
        self._writer.put(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a record could not be told: its arguments do not fit its text, or raise when they become one."""
        told = f"a record of {record.name} at {record.pathname}:{record.lineno} cannot be told"
        fresh = logging.LogRecord("otelhealth.logs", logging.ERROR, __file__, 0, told, None, None)
        self._writer.put(self.format(fresh) + "\n")


def to_descriptor(number: int) -> Target:
    """Writes to an open descriptor, past Python's buffers: at its end the interpreter would wait for those."""

    def write(line: str) -> None:
        left = memoryview(line.encode("utf-8", "backslashreplace"))
        while left:
            try:
                left = left[os.write(number, left) :]
            except BlockingIOError:
                time.sleep(_AGAIN)

    return write


class LogFile(RotatingFileHandler):
    """Appends to a file, for its owner only; one that would grow beyond `max_size` bytes becomes `path`.1, and so on.

    A file that was moved away (logrotate) or removed is made anew. Raises OSError where it cannot be opened.
    """

    terminator = ""

    def __init__(self, path: str, max_size: int, keep: int) -> None:
        if not Path(path).parent.exists():
            Path(path).parent.mkdir(parents=True)
        super().__init__(path, maxBytes=max_size, backupCount=keep, encoding="utf-8", errors="backslashreplace")

    def write(self, line: str) -> None:
        """Raises OSError, or ValueError where an earlier rotation left no file."""
        if self.stream is not None and not _is_at(self.baseFilename, self.stream.fileno()):
            self.close()  # `emit` opens it again
        self.emit(logging.makeLogRecord({"msg": line}))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's signature
        raise  # noqa: PLE0704 - logging calls this while it handles the exception, which is the writer's to count

    def _open(self):  # type: ignore[no-untyped-def]  # noqa: ANN202 - typeshed's own type for it is private
        return open(self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _is_at(path: str, number: int) -> bool:
    try:
        return os.path.samestat(os.fstat(number), os.stat(path))  # noqa: PTH116 - of two descriptors alike
    except OSError:
        return False
