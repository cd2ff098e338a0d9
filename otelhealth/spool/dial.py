"""Connects to a host within a deadline, which getaddrinfo obeys none of."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import Any

_Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]]


def left(deadline: float) -> float:
    """Seconds until it, of the monotonic clock; raises TimeoutError once it has passed."""
    found = deadline - time.monotonic()
    if found <= 0:
        raise TimeoutError
    return found


class Dialler:
    """Of one host and port. Used by one thread; `abort` by any."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._asked: Future[_Found] | None = None  # goes on where the deadline passed: there is never a second one
        self._aborted = False

    def dial(self, deadline: float) -> socket.socket:
        """Connected to the first address that answers; each of them has its share of the time. Raises OSError."""
        problem: OSError = ConnectionError(f"{self._host} has no address")
        found = self._look_up(deadline)
        for number, (family, kind, protocol, _, address) in enumerate(found):
            raw = socket.socket(family, kind, protocol)
            try:
                raw.settimeout(left(deadline) / (len(found) - number))
                raw.connect(address)
            except OSError as error:
                raw.close()
                problem = error
            else:
                return raw
        raise problem

    def abort(self) -> None:
        """End a look-up that somebody waits for, and all that come."""
        self._aborted = True
        if (asked := self._asked) is not None:
            asked.cancel()

    def _look_up(self, deadline: float) -> _Found:
        with suppress(socket.gaierror, UnicodeError):  # most receivers are named by an address
            return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        asked = self._asked = self._asked or _ask(self._host, self._port)
        if self._aborted:
            asked.cancel()
        try:
            return asked.result(left(deadline))
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "no name server answered in time") from None
        except CancelledError:
            raise ConnectionAbortedError("the spool closes") from None
        except UnicodeError as error:  # an empty or too long label; no OSError
            raise ConnectionError(f"{self._host} is not a host name") from error
        finally:
            if asked.done():
                self._asked = None


def _ask(host: str, port: int) -> Future[_Found]:
    """In a thread of its own, which nobody waits for at the end."""
    found: Future[_Found] = Future()

    def work() -> None:
        with suppress(InvalidStateError):  # aborted
            try:
                addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as error:
                found.set_exception(error)
            else:
                found.set_result(addresses)

    threading.Thread(target=work, name="otelhealth-resolve", daemon=True).start()
    return found
