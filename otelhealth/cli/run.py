"""`otelhealth run`: the agent as a process of its own, until SIGTERM or Ctrl-C; SIGHUP reloads."""

from __future__ import annotations

import argparse
import asyncio
import sys

from otelhealth.agent import Agent
from otelhealth.cli import hosting
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.logs.process import ProcessLog
from otelhealth.spool.settings import SIGNALS
from otelhealth.units import duration_text, size_text
from otelhealth.version import __version__

configure = hosting.configure


def banner(config: Config, agent: Agent, beside: str = "") -> str:
    """What it watches, where it answers, whether and where it exports; `beside` is the command it stands beside."""
    names = [name for name, record in agent.report()["checks"].items() if record["enabled"]]
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
            f"  checks   {len(names)}" + (f": {listed}" if names else ""),
            f"  answers  {answers}",
            *([f"  receives {agent.receiver} (OTLP/HTTP), {_onward(agent)}"] if agent.receiver else []),
            f"  exports  {exports}",
            *([f"  spool    {_kept(agent)}"] if path else []),
            f"  store    {agent.store.path}",
        )
    )


def _kept(agent: Agent) -> str:
    """Where what is not delivered yet waits."""
    spool = agent.telemetry.spool
    if spool is None:
        return "none: gRPC has none, and what an outage makes is lost; use http/protobuf"
    bounds = f"at most {size_text(spool.settings.max_size)} and {duration_text(spool.settings.max_age)}"
    return f"{spool.path() or 'in memory, which ends with the process'} ({bounds})"


def _onward(agent: Agent) -> str:
    """What becomes of the OTLP that it takes."""
    spool, path = agent.telemetry.spool, agent.telemetry.export_path
    gone = [signal for signal in SIGNALS if spool is None or signal not in spool.signals]
    if path is None or len(gone) == len(SIGNALS):
        return "read and let go: no endpoint is set"
    return f"forwarded to {path.endpoint}" + (f"; {', '.join(gone)} read and let go" if gone else "")


async def _serve(config: Config, sources: Sources, process_log: ProcessLog) -> None:
    stopped = asyncio.Event()
    agent = Agent(config, sources=sources)
    process_log.open(config.log, agent.telemetry.resource, agent.redact)
    hosting.end_on_signals(agent, stopped, process_log)
    async with agent:
        hosting.reload_on_hangup(agent)
        agent.telemetry.set_global()
        hosting.settle_later()
        hosting.say(banner(config, agent), process_log, sys.stdout)
        await stopped.wait()


def run(arguments: argparse.Namespace) -> int:
    return hosting.host(arguments, _serve)
