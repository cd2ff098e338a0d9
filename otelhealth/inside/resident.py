"""The agent inside a program that knows nothing of it: in a thread of its own.

The processes of a service are workers of it: each has an agent, and one of them runs the checks.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context

from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.inside.children import at_their_end
from otelhealth.inside.environment import CONFIG, path_of
from otelhealth.inside.programs import forks, leads
from otelhealth.stderr import say

if TYPE_CHECKING:
    from otelhealth.agent import Agent

_SUPPRESS = "suppress_instrumentation"  # what the official instrumentations look for: the agent's own work is no trace


class Resident:
    """Of this process. All that is wrong is said on stderr: the program goes on without an agent."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._forked)
        atexit.register(self.end)
        at_their_end(self.end)

    def _reset(self) -> None:
        self._agent: Agent | None = None
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
        if forks(sys.orig_argv):
            import otelhealth.agent  # noqa: F401, PLC0415 - once for all that it forks

            return True
        return leads(sys.orig_argv, os.environ) or self.begin()

    def begin(self) -> bool:
        """Make the agent, give its providers to the process, and let it work."""
        if self._agent is not None:
            return True
        if (gevent := sys.modules.get("gevent.monkey")) and gevent.is_module_patched("threading"):
            say("this program runs without its agent: gevent has replaced its threads; start it by otelhealth exec")
            return False
        from otelhealth.agent import Agent, read  # noqa: PLC0415 - a process that only starts others has none

        sources = Sources()
        try:
            config = read(None, sources, os.environ)
            self._agent = agent = Agent(config, sources=sources, role="program")
            agent.telemetry.set_global()
            agent.telemetry.start()
            os.environ[CONFIG] = path_of(config.file)
        except (OtelHealthError, OSError) as error:
            say(f"this program runs without its agent: {error}")
            return False
        self._thread = threading.Thread(target=self._work, args=(agent,), name="otelhealth", daemon=True)
        self._thread.start()
        return True

    def end(self) -> None:
        """Send what is left, within CLOSING seconds, or keep it on disk; once."""
        agent, self._agent = self._agent, None
        if agent is None:
            return
        from otelhealth.agent import CLOSING  # noqa: PLC0415 - as above

        self._stopping.set()
        if self._loop is not None:
            with suppress(RuntimeError):  # it has just ended
                self._loop.call_soon_threadsafe(self._asked.set)
        if self._thread is not None:
            self._thread.join(CLOSING + 0.5)
        if not self._entered:  # else it has done so in leaving
            agent.telemetry.close(CLOSING)
            agent.release()
        elif self._thread is not None and self._thread.is_alive():
            agent.save()

    def _forked(self) -> None:
        """The child has what was begun, and the SDK mends it; the agent goes on in the parent."""
        agent = self._agent
        self._reset()
        self._agent = agent

    def _work(self, agent: Agent) -> None:
        otel_context.attach(otel_context.set_value(_SUPPRESS, True))
        try:
            asyncio.run(self._live(agent))
        except (OtelHealthError, OSError) as error:
            say(f"this program runs without its agent: {error}")

    async def _live(self, agent: Agent) -> None:
        self._asked, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if self._stopping.is_set():
            return
        async with agent:
            self._entered = True
            saying = asyncio.create_task(_say_where(agent))
            await self._asked.wait()
            saying.cancel()


async def _say_where(agent: Agent) -> None:
    await agent.led.wait()
    say(f"an agent works in this program and answers {f'{agent.url}/health' if agent.url else 'nowhere'}")


def _has_its_own_way() -> bool:
    """Whether the user chose exporters that are not the agent's."""
    chosen = (os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp") for signal in ("TRACES", "METRICS", "LOGS"))
    return "OTEL_CONFIG_FILE" in os.environ or any(name.strip().lower() not in ("otlp", "none") for name in chosen)


RESIDENT = Resident()
