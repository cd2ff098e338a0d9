"""`otelhealth run`: the agent as a process of its own, until SIGTERM or Ctrl-C; SIGHUP reloads."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from otelhealth.agent import Agent
from otelhealth.cli.source import UNUSABLE, load_or_say
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.spool.settings import SIGNALS
from otelhealth.version import __version__

try:
    import uvloop
except ImportError:  # it has no wheels for some platforms
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop

if sys.platform != "win32":
    from resource import RLIMIT_NOFILE, getrlimit, setrlimit

MOST_FILES = 65_536
LEAVING = 2.0  # s that what is not the agent's own may take to end, once the agent has stopped
SETTLED = 15.0  # s after the start by which each check has run and made what it keeps


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="default: $OTELHEALTH_CONFIG, ./otelhealth.yaml, else host checks",
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="default info"
    )


def banner(config: Config, agent: Agent) -> str:
    """What it watches, where it answers, whether and where it exports."""
    names = [name for name, check in config.checks.items() if check.enabled]
    listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    path = agent.telemetry.export_path
    exports = (
        f"{path.endpoint} (OTLP, {path.protocol})"
        if path
        else "nowhere; set OTEL_EXPORTER_OTLP_ENDPOINT or telemetry.otlp.endpoint"
    )
    answers = (
        f"{agent.url}/health, /health/detailed, /metrics, /openapi.json"
        if agent.url
        else "nowhere; server.enabled is false"
    )
    return "\n".join(
        (
            f"otelhealth {__version__} watches {config.service.name}",
            f"  config   {config.file or 'embedded defaults (no file found)'}",
            f"  checks   {len(names)}: {listed}",
            f"  answers  {answers}",
            *([f"  receives {agent.receiver} (OTLP/HTTP), {_onward(agent)}"] if agent.receiver else []),
            f"  exports  {exports}",
            f"  store    {agent.store.path}",
        )
    )


def _onward(agent: Agent) -> str:
    """What becomes of the OTLP that it takes."""
    spool, path = agent.telemetry.spool, agent.telemetry.export_path
    gone = [signal for signal in SIGNALS if spool is None or signal not in spool.signals]
    if path is None or len(gone) == len(SIGNALS):
        return "read and let go: no endpoint is set"
    return f"forwarded to {path.endpoint}" + (f"; {', '.join(gone)} read and let go" if gone else "")


def _raise_file_limit() -> None:
    """Room for a thousand hanging checks beside those that answer: the usual soft limit is 1,024."""
    if sys.platform != "win32":
        soft, hard = getrlimit(RLIMIT_NOFILE)
        wanted = MOST_FILES if hard < 0 else min(hard, MOST_FILES)
        if 0 <= soft < wanted:
            setrlimit(RLIMIT_NOFILE, (wanted, hard))


def _settle() -> None:
    """Collect garbage from now on, but never again look through what stays: with 10,000 checks that takes 0.6 s."""
    gc.collect()
    gc.freeze()
    gc.enable()


def _open_standard_streams() -> None:
    """libuv aborts the process when it closes a descriptor below 3, which a socket has where these were closed."""
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)


def _say(text: str) -> None:
    """A terminal that is gone, or a full disk behind it, is no reason not to watch."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _leave_soon() -> None:
    """The process ends even where a check's task ignores its cancellation, or a thread it started goes on."""
    last = threading.Timer(LEAVING, os._exit, (0,))
    last.daemon = True
    last.start()


async def _serve(config: Config, sources: Sources) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()
    agent = Agent(config, sources=sources)

    def reload() -> None:
        task = loop.create_task(agent.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with agent:
        agent.telemetry.set_global()
        loop.call_later(SETTLED, _settle)
        _say(banner(config, agent))
        await stopped.wait()
    _leave_soon()


def run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("otelhealth").setLevel(arguments.log_level.upper())
    logging.raiseExceptions = False  # a log that cannot be written is no reason to stop watching
    _open_standard_streams()
    sources = Sources()
    config = load_or_say(arguments.config, sources)
    if config is None:
        return UNUSABLE
    _raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve(config, sources))
    except OtelHealthError as error:
        print(f"otelhealth: {error}", file=sys.stderr)
        return 1
    return 0
