"""The agent beside a command: what `otelhealth exec` starts as a process of its own, and tells how the command is."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from otelhealth.agent import Agent
from otelhealth.checks.processes import WatchedChild
from otelhealth.cli import hosting
from otelhealth.cli.run import banner
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.inside.environment import of_command, of_file
from otelhealth.inside.marks import NO_PYTHON_AFTER, any_python
from otelhealth.kinds.child import ChildCheck
from otelhealth.logs.process import ProcessLog
from otelhealth.model import ServiceProcess
from otelhealth.telemetry.child import ChildFigures
from otelhealth.telemetry.detector import without_instance
from otelhealth.telemetry.resource import build_resource

_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES"
_NAMES = ("child", "exec", "exec-child")  # of the check that is added: one that the user has not given away
_LAST_WORD = 1.0  # s for what the supervisor said before it asked us to end
log = logging.getLogger("otelhealth")


def configure(parser: argparse.ArgumentParser) -> None:
    hosting.configure(parser)
    parser.add_argument("--grace", help="exec.grace")
    parser.add_argument("--restart", help="exec.restart.policy")
    parser.add_argument("--no-instrument", action="store_true", help="exec.instrument: false")
    parser.add_argument("--channel", type=int, required=True, help="the descriptor of the supervisor's socket")
    parser.add_argument("--folder", required=True, help="for the marks of the command's processes")
    parser.add_argument("--receive", help="where the agent before this one took OTLP")
    parser.add_argument("--command", required=True, help="how the command is called")


class Beside:
    """One agent, and the supervisor's word on the command."""

    def __init__(
        self, arguments: argparse.Namespace, config: Config, sources: Sources, process_log: ProcessLog
    ) -> None:
        self._config = config = _receiving(config, arguments.receive)
        self._command = arguments.command
        self._folder = arguments.folder
        self._channel = socket.socket(fileno=arguments.channel)
        self._service = build_resource(config.identity("service"))
        self._wishes = {
            "ready": True,
            "grace": config.exec.grace,
            "restart": config.exec.restart.rules(),
        }
        # a user's own service.instance.id is that of the service
        own = without_instance(os.environ.get(_ATTRIBUTES, ""))
        self._environ, os.environ[_ATTRIBUTES] = dict(os.environ), own
        self._child = WatchedChild()
        self._checks = _watching(config)
        self._agent = Agent(config, sources=sources, child=self._child)
        self._log = process_log
        process_log.open(config.log, self._agent.telemetry.resource, self._agent.redact)
        self._figures: ChildFigures | None = None
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        hosting.end_on_signals(self._agent, self._stopped, self._log)
        reader, writer = await asyncio.open_unix_connection(sock=self._channel)
        async with self._agent as agent:
            hosting.reload_on_hangup(agent)
            agent.telemetry.set_global()
            self._figures = agent.telemetry.watch(self._child, self._service)
            if not self._checks:
                self._checks = (next(name for name in _NAMES if name not in self._config.checks),)
                agent.add(ChildCheck(name=self._checks[0]))
            hosting.settle_later()
            hosting.say(banner(self._config, agent, self._command), self._log, sys.stderr)
            writer.write(json.dumps(self._wishes | self._environment()).encode() + b"\n")
            listening = loop.create_task(self._listen(reader))
            looking = loop.create_task(self._look_for_python())
            await self._stopped.wait()
            looking.cancel()
            await asyncio.wait((listening,), timeout=_LAST_WORD)
            listening.cancel()
        writer.close()

    def _environment(self) -> dict[str, Any]:
        receiver, instrument = self._agent.receiver, self._config.exec.instrument
        changes = of_command(self._environ, self._service, receiver, self._folder, instrument=instrument)
        return {
            "environment": dict(changes.environment) | of_file(self._config.file),
            "without": list(changes.without),
            "again": [f"--receive={receiver.removeprefix('http://')}"],
        }

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """What the supervisor tells, until the command has ended for good, or the supervisor has."""
        while line := await reader.readline():
            process = ServiceProcess(**json.loads(line))
            await self._learn(process)
            if process.state == "exited":
                return
        log.error("the supervisor has ended: the command and the agent end too")
        if group := self._child.process.group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        self._stopped.set()

    async def _learn(self, process: ServiceProcess) -> None:
        before, self._child.process = self._child.process, process
        if before.pid is not None and process.pid is None and process.exit_code is not None and self._figures:
            self._figures.exited(process.exit_code)
        if process.state == "stopping" or (process.state == "exited" and process.asked):
            self._agent.drain()  # what was asked for is no failure
        with suppress(OtelHealthError):  # draining, or taken out by a reload
            await self._agent.run_checks(*self._checks)

    async def _look_for_python(self) -> None:
        """Say once that nothing in the command is instrumented, where it holds no Python program."""
        await asyncio.sleep(NO_PYTHON_AFTER)
        if self._config.exec.instrument and not any_python(Path(self._folder)):
            log.warning("%s runs uninstrumented: no Python program has begun in it", self._command)


def _receiving(config: Config, before: str | None) -> Config:
    """The command's telemetry comes to this agent: where the user says, else on a port that nobody else knows of.

    An agent that follows another takes its port: the command goes on to send there.
    """
    if config.telemetry.receive is not None:
        return config
    telemetry = config.telemetry.model_copy(update={"receive": before or "127.0.0.1:0"})
    return replace(config, telemetry=telemetry)


def _watching(config: Config) -> tuple[str, ...]:
    """The names of the checks that watch the command."""
    return tuple(name for name, check in config.checks.items() if isinstance(check, ChildCheck))


def _over(environ: MutableMapping[str, str], arguments: argparse.Namespace) -> None:
    """The command line's words, as the environment says them: they come before the file's."""
    told = {
        "GRACE": arguments.grace,
        "RESTART__POLICY": arguments.restart,
        "INSTRUMENT": "false" if arguments.no_instrument else None,
    }
    for field, value in told.items():
        if value is not None:
            environ[f"OTELHEALTH_EXEC__{field}"] = value


def main() -> int:
    """The exit code: that of `otelhealth run`."""
    parser = argparse.ArgumentParser(prog="otelhealth exec")
    configure(parser)
    arguments = parser.parse_args()
    _over(os.environ, arguments)
    return hosting.host(arguments, lambda *made: Beside(arguments, *made).run())


if __name__ == "__main__":
    sys.exit(main())
