"""`otelhealth run`: the agent as a process of its own, until SIGTERM or Ctrl-C; SIGHUP reloads."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

from otelhealth.agent import Agent
from otelhealth.cli import hosting
from otelhealth.cli.source import UNUSABLE, load_or_say
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.spool.settings import SIGNALS
from otelhealth.version import __version__

configure = hosting.configure


def banner(config: Config, agent: Agent, beside: str = "") -> str:
    """What it watches, where it answers, whether and where it exports; `beside` is the command it stands beside."""
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
            f"otelhealth {__version__} watches {config.service.name}" + (f" beside {beside}" if beside else ""),
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


def _say(text: str) -> None:
    """A terminal that is gone, or a full disk behind it, is no reason not to watch."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


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
        hosting.settle_later()
        _say(banner(config, agent))
        await stopped.wait()
    hosting.leave_soon()


def run(arguments: argparse.Namespace) -> int:
    hosting.prepare(arguments.log_level)
    sources = Sources()
    config = load_or_say(arguments.config, sources)
    return UNUSABLE if config is None else hosting.host(_serve(config, sources))
