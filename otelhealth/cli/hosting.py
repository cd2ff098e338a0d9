"""The process that an agent has to itself: its log, its limits, its event loop, and its end."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path

from otelhealth.errors import OtelHealthError

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
    """The options of every command that runs an agent."""
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


def prepare(log_level: str) -> None:
    """The log on stderr, and descriptors where libuv expects them."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("otelhealth").setLevel(log_level.upper())
    logging.raiseExceptions = False  # a log that cannot be written is no reason to stop watching
    _open_standard_streams()


def host(agent: Coroutine[object, object, None]) -> int:
    """Run it to its end: the exit code."""
    _raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(agent)
    except OtelHealthError as error:
        print(f"otelhealth: {error}", file=sys.stderr)
        return 1
    return 0


def settle_later() -> None:
    """Collect garbage from then on, but never again look through what stays: with 10,000 checks that takes 0.6 s."""
    asyncio.get_running_loop().call_later(SETTLED, _settle)


def leave_soon() -> None:
    """The process ends even where a check's task ignores its cancellation, or a thread it started goes on."""
    last = threading.Timer(LEAVING, os._exit, (0,))
    last.daemon = True
    last.start()


def _settle() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def _raise_file_limit() -> None:
    """Room for a thousand hanging checks beside those that answer: the usual soft limit is 1,024."""
    if sys.platform != "win32":
        soft, hard = getrlimit(RLIMIT_NOFILE)
        wanted = MOST_FILES if hard < 0 else min(hard, MOST_FILES)
        if 0 <= soft < wanted:
            setrlimit(RLIMIT_NOFILE, (wanted, hard))


def _open_standard_streams() -> None:
    """libuv aborts the process when it closes a descriptor below 3, which a socket has where these were closed."""
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)
