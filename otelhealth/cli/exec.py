"""`otelhealth exec -- CMD...`: a command with a health agent beside it; ends with the command's exit code.

This process only supervises: it stays small, and reads no configuration. The agent beside it does (beside.py).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from otelhealth.stderr import say
from otelhealth.supervise.companion import Companion
from otelhealth.supervise.signals import SUPPORTED
from otelhealth.supervise.spawn import CannotRunError, find
from otelhealth.supervise.supervisor import Supervisor

_PASSED = ("config", "log_level", "log_format", "grace", "restart")
_USAGE, _FAILED = 3, 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "otelhealth exec [OPTIONS] [--] CMD [ARGUMENT...]"
    parser.add_argument("-c", "--config", metavar="FILE", help="default: what `otelhealth run` would read")
    parser.add_argument(
        "--list", action="store_true", help="which libraries are, or could be, instrumented; runs nothing"
    )
    parser.add_argument("--grace", metavar="DURATION", help="from the first SIGTERM or SIGINT to SIGKILL; default 10s")
    parser.add_argument(
        "--restart", choices=("never", "on-failure", "always"), help="start it again when it has ended; default never"
    )
    parser.add_argument("--no-instrument", action="store_true", help="leave Python programs as they are")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), help="the agent's; default info")
    parser.add_argument("--log-format", choices=("text", "json"), help="the agent's; default text")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")


def run(arguments: argparse.Namespace) -> int:
    if arguments.list:
        from otelhealth.cli import listing  # noqa: PLC0415 - the supervisor stays small

        return listing.run()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        say("which command? write it behind --, such as: otelhealth exec -- uvicorn app:app")
        return _USAGE
    if not SUPPORTED:
        say("exec needs Linux; elsewhere, run the agent beside the service: otelhealth run")
        return _FAILED
    try:
        find(command[0], os.environ.get("PATH"))
    except CannotRunError as error:
        say(str(error))
        return error.code
    folder = tempfile.mkdtemp(prefix="otelhealth-exec-")
    try:
        return Supervisor(command, os.environ, Companion(_beside(arguments, folder, command[0]))).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _beside(arguments: argparse.Namespace, folder: str, command: str) -> Callable[[int, Sequence[str]], Sequence[str]]:
    """What starts the agent. -P: a module of the user's in the working directory is not taken for one of ours."""
    told = [f"--{name.replace('_', '-')}={value}" for name in _PASSED if (value := getattr(arguments, name))]
    told += ["--no-instrument"] if arguments.no_instrument else []
    told += [f"--folder={folder}", f"--command={Path(command).name}"]

    def vector(channel: int, again: Sequence[str]) -> Sequence[str]:
        return [sys.executable, "-P", "-m", "otelhealth.cli.beside", f"--channel={channel}", *told, *again]

    return vector
