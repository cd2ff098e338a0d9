"""Waiting, asking and listening on 127.0.0.1. Standard library only."""

import http.client
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
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


def fetch(
    url: str,
    parameters: Mapping[str, object] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    any_status: bool = False,
) -> bytes:
    """The body of a GET. Refused connections and, unless `any_status`, HTTP errors come as urllib's own exceptions (all
    OSError)."""
    query = f"?{urllib.parse.urlencode(parameters)}" if parameters else ""
    request = urllib.request.Request(url + query, headers=dict(headers or {}))
    try:
        with _OPENER.open(request, timeout=timeout) as response:
            body: bytes = response.read()
    except urllib.error.HTTPError as error:
        if not any_status:
            raise
        with error:
            body = error.read()
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


def free_ports(names: tuple[str, ...], wishes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Each as wished where that is free. Until this process ends a program that listens there must name it."""
    return {name: unused_port(wishes.get(name, 0) if wishes else 0) for name in names}


def unused_port(wish: int = 0) -> int:
    """Who asks there before somebody listens is refused."""
    _KEPT.append(kept(wish))
    return int(_KEPT[-1].getsockname()[1])


_KEPT: list[socket.socket] = []


def kept(wish: int = 0) -> socket.socket:
    """Bound to that port, or to any where somebody listens there.

    While it is, the kernel gives the port to nobody who asks for any, neither to listen nor for a connection; a server
    that names it and sets SO_REUSEADDR, as they all do, listens all the same (ip(7), socket(7)).
    """
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # nor do connections that have ended take it
    try:
        found.bind(("127.0.0.1", wish))
    except OSError:
        if not wish:
            raise
        found.bind(("127.0.0.1", 0))
    return found
