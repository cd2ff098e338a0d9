"""The command line: finds the command and imports only what that one needs."""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Protocol

from otelhealth.cli import early
from otelhealth.version import __version__

COMMANDS = {
    "run": "watch, answer and export until stopped",
    "exec": "run a command with an agent beside it; ends with the command's exit code",
    "check": "run checks once and say how they went (exit 0 pass, 1 warn, 2 fail, 3 unknown or usage error)",
    "probe": "ask a running agent: exit 0 when healthy or degraded, else 1",
    "validate": "read a configuration and name all that is wrong with it",
    "schema": "print the JSON schema of the configuration, for editors",
    "kinds": "list the kinds of checks, or the fields and measurements of one",
    "version": "print the version",
}


WATCHING = ("run", "exec")  # those that end when they are told to


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # of the disk behind a stream


class Command(Protocol):
    """A module of this folder."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int:
        """The exit code."""
        ...


class _Parser(argparse.ArgumentParser):
    """Ends a usage error with 3, `unknown`, as monitoring plugins do: 2 would say that a check failed.

    That of `probe` ends with 1, the one code but 0 that a HEALTHCHECK knows.
    """

    def error(self, message: str) -> None:  # type: ignore[override]  # it exits, as the base class does
        self.print_usage(sys.stderr)
        self.exit(1 if self.prog.endswith(" probe") else 3, f"{self.prog}: {message}; see {self.prog} --help\n")


def _overview() -> str:
    width = max(len(name) for name in COMMANDS)
    rows = "\n".join(f"  {name:<{width}}  {text}" for name, text in COMMANDS.items())
    return (
        "usage: otelhealth COMMAND [OPTIONS]\n\n"
        "A health agent for OpenTelemetry users: beside, around or inside a service.\n\n"
        f"commands:\n{rows}\n\n`otelhealth COMMAND --help` tells more of one."
    )


def _write_no_more() -> None:
    """What waits to be written would fail again at the end, with a traceback and a code of Python's own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words[0] if words else ""
    if name in ("version", "--version", "-V"):
        print(f"otelhealth {__version__}")
        return 0
    if name not in COMMANDS:
        wanted = name in ("", "-h", "--help", "help")
        lead = "" if wanted else f"otelhealth: unknown command {name!r}\n"
        print(lead + _overview(), file=sys.stdout if wanted else sys.stderr)
        return 0 if wanted and name else 3
    gc.disable()  # what a start makes stays: looking through it again and again is a tenth of the way
    try:
        with early.minding() if name in WATCHING else nullcontext():
            command: Command = importlib.import_module(f"otelhealth.cli.{name}")
            parser = _Parser(prog=f"otelhealth {name}", description=COMMANDS[name])
            command.configure(parser)
            code = command.run(parser.parse_args(words[1:]))
            if sys.stdout is not None:  # it was closed before the start
                sys.stdout.flush()
    except KeyboardInterrupt:  # before the command minded signals itself
        if early.heard(signal.SIGTERM):
            return 0 if name == "run" else 128 + signal.SIGTERM
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader (head, grep -q) has seen enough
        _write_no_more()
        code = 0
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _write_no_more()
        print(f"otelhealth {name}: what it says cannot be written: {error.strerror}", file=sys.stderr)
        code = 1 if name == "probe" else 3
    finally:
        gc.enable()
    return code


if __name__ == "__main__":
    sys.exit(main())
