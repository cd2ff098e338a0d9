"""`otelhealth run`: the agent as a process of its own, until SIGTERM or Ctrl-C; SIGHUP reloads."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from otelhealth.agent import Agent
from otelhealth.cli.source import UNUSABLE, load_or_say
from otelhealth.config.root import Config
from otelhealth.errors import OtelHealthError
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
            f"  exports  {exports}",
            f"  store    {agent.store.path}",
        )
    )


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


async def _serve(config: Config) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    agent = Agent(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with agent:
        agent.telemetry.set_global()
        reloads: set[asyncio.Task[None]] = set()
        loop.add_signal_handler(signal.SIGHUP, lambda: reloads.add(loop.create_task(agent.reload())))
        loop.call_later(SETTLED, _settle)
        print(banner(config, agent), flush=True)
        await stopped.wait()


def run(arguments: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("otelhealth").setLevel(arguments.log_level.upper())
    config = load_or_say(arguments.config)
    if config is None:
        return UNUSABLE
    _raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(_serve(config))
    except OtelHealthError as error:
        print(f"otelhealth: {error}", file=sys.stderr)
        return 1
    return 0
