"""The agent inside a program that knows nothing of it: in a thread of its own, in one process of each service."""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from opentelemetry import context as otel_context

from otelhealth.agent import CLOSING, Agent, read
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.inside.defaults import say
from otelhealth.inside.environment import CONFIG, path_of
from otelhealth.inside.programs import forks, leads
from otelhealth.lock import Lock
from otelhealth.store import default_path

_LOOK_EVERY = 2.0  # s: how soon another process takes over
_MOST = 64  # processes of one service on one machine
_SUPPRESS = "suppress_instrumentation"  # what the official instrumentations look for: the agent's own work is no trace


class Resident:
    """Of this process. All that is wrong is said on stderr: the program goes on without an agent."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self.end)

    def _reset(self) -> None:
        self._agent: Agent | None = None
        self._locks: list[Lock] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked = asyncio.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._entered = False

    def provide(self) -> bool:
        """Whether the providers of this process are, or will be, the agent's."""
        if _has_its_own_way():
            say("the exporters that OTEL_*_EXPORTER or OTEL_CONFIG_FILE names send by themselves, without the spool")
            return False
        return forks(sys.orig_argv) or self.begin()

    def begin(self) -> bool:
        """Make the agent, give its providers to the process, and let it work where no other process has one."""
        if self._agent is not None:
            return True
        sources = Sources()
        try:
            config = read(None, sources, os.environ)
            folder = Path(config.store.path or default_path(config.service.name, os.environ)).parent
            slot = self._slot(folder)
            self._agent = agent = Agent(config, sources=sources, role="program", slot=slot)
            agent.telemetry.set_global()
            agent.telemetry.start()
            os.environ[CONFIG] = path_of(config.file)
        except (OtelHealthError, OSError) as error:
            say(f"this program runs without its agent: {error}")
            return False
        if not leads(sys.orig_argv, os.environ):
            lock = Lock(folder / f"program-{config.service.name}")
            self._thread = threading.Thread(target=self._work, args=(agent, lock), name="otelhealth", daemon=True)
            self._thread.start()
        return True

    def end(self) -> None:
        """Send what is left, within CLOSING seconds, or keep it on disk; once."""
        agent, self._agent = self._agent, None
        if agent is None:
            return
        self._stopping.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._asked.set)
        if self._thread is not None:
            self._thread.join(CLOSING + 0.5)
        if not self._entered:  # else it has done so in leaving
            agent.telemetry.close(CLOSING)
        elif self._thread is not None and self._thread.is_alive():
            agent.save()
        for lock in self._locks:
            lock.release()

    def _forked(self) -> None:
        """The child has what was begun, and the SDK mends it; the agent goes on in the parent."""
        for lock in self._locks:
            lock.release()  # the parent keeps it
        agent = self._agent
        self._reset()
        self._agent = agent

    def _work(self, agent: Agent, leading: Lock) -> None:
        otel_context.attach(otel_context.set_value(_SUPPRESS, True))
        try:
            while not leading.take():
                if self._stopping.wait(_LOOK_EVERY):
                    return
            self._locks.append(leading)
            asyncio.run(self._lead(agent))
        except (OtelHealthError, OSError) as error:
            say(f"this program runs without its agent: {error}")

    async def _lead(self, agent: Agent) -> None:
        self._asked, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if self._stopping.is_set():
            return
        async with agent:
            self._entered = True
            say(f"an agent works in this program and answers {f'{agent.url}/health' if agent.url else 'nowhere'}")
            await self._asked.wait()

    def _slot(self, folder: Path) -> int:
        """The lowest number that no other process of the service here has."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(_MOST):
            lock = Lock(folder / f"program-{number}")
            if lock.take():
                self._locks.append(lock)
                return number
        raise OtelHealthError(f"{_MOST} processes of it are here already", "run an agent beside it: otelhealth exec")


def _has_its_own_way() -> bool:
    """Whether the user chose exporters that are not the agent's."""
    chosen = (os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp") for signal in ("TRACES", "METRICS", "LOGS"))
    return "OTEL_CONFIG_FILE" in os.environ or any(name.strip().lower() not in ("otlp", "none") for name in chosen)


RESIDENT = Resident()
