"""Listening: uvicorn's protocol inside the agent's own event loop, without a tick, a thread or a signal handler."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import sys
from contextlib import suppress
from typing import Any

from starlette.types import ASGIApp
from uvicorn.config import Config

from otelhealth.address import Address
from otelhealth.checks.resolve import literal
from otelhealth.errors import OtelHealthError
from otelhealth.listening import Listening
from otelhealth.server.limits import BoundedProtocol, Connections
from otelhealth.server.refusals import Refuse, plainly

if sys.platform != "win32":
    from resource import RLIMIT_NOFILE, getrlimit

_BACKLOG = 1024
_UNSENT = 131_072  # bytes that the kernel takes of an answer: by itself it copies megabytes for each of a crowd
_REMEDIES = {
    errno.EADDRINUSE: "stop what listens there, or ",
    errno.EACCES: "take a port above 1023, or ",
    errno.EADDRNOTAVAIL: "take an address of this machine, 127.0.0.1 or 0.0.0.0: ",
}


def _most(wanted: int) -> int:
    """Connections of one listener: two of them leave half of the process's descriptors to the checks."""
    if sys.platform == "win32":
        return wanted
    soft = getrlimit(RLIMIT_NOFILE)[0]
    return max(10, min(wanted, soft // 4)) if soft > 0 else wanted


class Server:
    """Serves `app` in the running loop from `start` to `stop`."""

    def __init__(
        self, app: ASGIApp, settings: Listening, *, setting: str = "server.listen", refuse: Refuse = plainly
    ) -> None:
        self._settings = settings
        self._setting = setting
        # access_log stays at its default: False would silence the log of an application in the same process
        self._config = Config(
            app, http=BoundedProtocol, ws="none", lifespan="off", proxy_headers=False, log_config=None
        )
        self._connections = Connections(settings.limits, _most(settings.limits.connections), refuse)
        self._listener: asyncio.Server | None = None
        self.address: Address | None = None

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections.connections)

    @property
    def url(self) -> str:
        """Of the running server, from this machine; empty when it does not run."""
        return self.address.url if self.address else ""

    async def start(self) -> Address:
        """Where it listens, with the real port; raises OtelHealthError where it cannot."""
        if not self._config.loaded:
            self._config.load()
        loop = asyncio.get_running_loop()
        wanted = self._settings.address
        try:
            self._listener = await loop.create_server(
                lambda: BoundedProtocol(self._config, self._connections, loop), backlog=_BACKLOG, **_place(wanted)
            )
        except (OSError, UnicodeError) as error:  # UnicodeError: an empty or too long label of a name
            raise OtelHealthError(f"cannot listen on {wanted}: {_reason(error)}", self._remedy(error)) from error
        for each in self._listener.sockets:  # which those that are accepted have from it
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
        self.address = Address(wanted.host, self._listener.sockets[0].getsockname()[1])
        return self.address

    async def deserted(self, within: float) -> None:
        """Until no connection is open, at most so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._connections.empty.wait(), within)

    def _remedy(self, error: OSError | UnicodeError) -> str:
        number = error.errno or 0 if isinstance(error, OSError) else 0
        variable = f"OTELHEALTH_{self._setting.upper().replace('.', '__')}"
        elsewhere = f"set {self._setting} (or {variable}) to another address; port 0 takes any free port"
        return _REMEDIES.get(number, "") + elsewhere

    async def stop(self, grace: float = 5.0) -> None:
        """Accept nothing more, let what is being answered finish within `grace` seconds, cut the rest."""
        if self._listener is None:
            return
        self._listener.close()
        for connection in list(self._connections.connections):
            connection.shutdown()
        await self.deserted(grace)
        self._connections.cut_all()
        tasks = list(self._connections.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.wait_closed()
        self._listener = self.address = None


def _place(wanted: Address) -> dict[str, Any]:
    """Where a loop's `create_server` is to listen. An address is bound here: uvloop would start four threads for it."""
    if not literal(wanted.host):
        return {"host": wanted.host, "port": wanted.port}
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    bound = socket.create_server((wanted.host, wanted.port), family=family, backlog=_BACKLOG)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # for its connections: asyncio sees to its own alone
    return {"sock": bound}


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the name is not known"
    return os.strerror(error.errno).lower() if error.errno else str(error)
