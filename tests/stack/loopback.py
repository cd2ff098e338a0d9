"""Waiting, asking and listening on 127.0.0.1. Standard library only."""

import http.client
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TypeVar

T = TypeVar("T")

# Everything here is on loopback: a proxy from the environment must not be asked for it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(condition: Callable[[], T], what: str, within: float = 60.0, every: float = 0.05) -> T:
    """The condition's first true value; TimeoutError names what was waited for, and what was seen last."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {within:g} s, last seen: {value!r}")
        time.sleep(every)


def fetch(url: str, parameters: Mapping[str, object] | None = None, *, timeout: float = 10.0) -> bytes:
    """The body of a GET. HTTP errors and refused connections come as urllib's own exceptions (all OSError)."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    with _OPENER.open(url + query, timeout=timeout) as response:
        body: bytes = response.read()
        return body


def answers(url: str) -> bool:
    try:
        fetch(url, timeout=2.0)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (OSError, http.client.HTTPException):
        return False
    return True


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """Held all at once, so that no port is given twice. Another program may still take one before it is used."""
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in names}
        for listener in sockets.values():
            listener.bind(("127.0.0.1", 0))
        return {name: listener.getsockname()[1] for name, listener in sockets.items()}
