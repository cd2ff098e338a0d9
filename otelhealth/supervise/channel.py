"""JSON lines between the supervisor and the process beside the command; nothing here ever waits."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

_MOST = 1 << 20  # bytes of one message


class Channel:
    """The supervisor's end. Data, and the other end's close, are told by SIGIO."""

    def __init__(self) -> None:
        self._own, self.other = socket.socketpair()
        self._own.setblocking(False)
        fcntl.fcntl(self._own, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(self._own, fcntl.F_GETFL)
        fcntl.fcntl(self._own, fcntl.F_SETFL, flags | os.O_ASYNC)
        self._read = b""
        self._unsent = b""

    def tell(self, message: Mapping[str, Any]) -> None:
        """Each message is whole, so one that finds no room gives way to the next."""
        if not self._unsent or self._flush():
            self._unsent = json.dumps(message).encode() + b"\n"
            self._flush()

    def _flush(self) -> bool:
        try:
            sent = self._own.send(self._unsent)
        except BlockingIOError:
            return False
        except OSError:  # the other end is gone: its end is told by SIGCHLD
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        return not self._unsent

    def messages(self) -> Iterator[dict[str, Any]]:
        """What has come whole; what is no JSON object, or too long, is left out."""
        with suppress(OSError):  # nothing more yet, or the other end was cut
            while len(self._read) <= _MOST and (data := self._own.recv(65536)):
                self._read += data
        *lines, self._read = self._read.split(b"\n")
        for line in lines:
            with suppress(ValueError):
                message = json.loads(line)
                if isinstance(message, dict):
                    yield message

    def close(self) -> None:
        self._own.close()
        self.other.close()
