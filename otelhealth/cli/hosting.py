"""The process that an agent has to itself: its log, its limits, its event loop, and its end."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TextIO

from otelhealth.agent import Agent
from otelhealth.cli import early
from otelhealth.cli.source import UNUSABLE, load_or_say
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.logs.process import ProcessLog

try:
    import uvloop
except ImportError:  # it has no wheels for some platforms
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop

if sys.platform != "win32":
    from resource import RLIMIT_NOFILE, getrlimit, setrlimit

Serve = Callable[[Config, Sources, ProcessLog], Coroutine[object, object, None]]
LEVELS, FORMATS = ("debug", "info", "warning", "error"), ("text", "json")
LEAST_FILES, MOST_FILES = 64, 65_536  # an agent with nothing to do has 30 open
ENDING = (signal.SIGTERM, signal.SIGINT)
PATIENCE, LAST = 3.7, 4.4  # s after the first of them when the process ends by itself, and when it ends in any case
SAID = 0.2  # s for the last lines of the log
SETTLED = 15.0  # s after the start by which each check has run and made what it keeps

log = logging.getLogger("otelhealth")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of every command that runs an agent."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="default: $OTELHEALTH_CONFIG, ./otelhealth.{yaml,yml,toml}, else host checks",
    )
    parser.add_argument("--log-level", choices=LEVELS, help="default: log.level, info")
    parser.add_argument("--log-format", choices=FORMATS, help="default: log.format, text")


def host(arguments: argparse.Namespace, serve: Serve) -> int:
    """Read the configuration and run an agent to its end: the exit code."""
    process_log = ProcessLog(arguments.log_level, arguments.log_format)
    _open_standard_streams()
    try:
        sources = Sources()
        config = load_or_say(arguments.config, sources)
        return UNUSABLE if config is None else _run(lambda: serve(config, sources, process_log), process_log)
    finally:
        process_log.close()


def _run(serve: Callable[[], Coroutine[object, object, None]], process_log: ProcessLog) -> int:
    try:
        _raise_file_limit()
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            runner.run(serve())
    except OtelHealthError as error:
        say(f"otelhealth: {error}", process_log, sys.stderr, logging.CRITICAL)
        return 1
    return 0


def say(text: str, process_log: ProcessLog, stream: TextIO, level: int = logging.INFO) -> None:
    """On `stream`; where the log is JSON as a record of it, for both streams of a container become one.

    A terminal that is gone, or a full disk behind it, is no reason not to watch.
    """
    if process_log.is_json:
        log.log(level, "%s", "; ".join(" ".join(line.split()) for line in text.splitlines()))
        return
    try:
        print(text, file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def settle_later() -> None:
    """Collect garbage from then on, but never again look through what stays: with 10,000 checks that takes 0.6 s."""
    asyncio.get_running_loop().call_later(SETTLED, _settle)


def end_on_signals(agent: Agent, stopped: asyncio.Event, process_log: ProcessLog) -> None:
    """SIGTERM and SIGINT set `stopped`; the process ends in time even where a check blocks the loop, or never ends.

    The loop's own handlers would wait for it; Python's run in the midst of what blocks it, if that is not C.
    """
    loop, asked = asyncio.get_running_loop(), SimpleQueue[int]()  # whose `put` may be interrupted by itself

    def end() -> None:
        asked.get()
        last = threading.Timer(LAST, os._exit, (0,))
        last.daemon = True
        last.start()
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(stopped.set)
        time.sleep(PATIENCE)
        log.error("the agent did not come to its end within %g s: what it has is kept, and the process ends", PATIENCE)
        agent.save()
        process_log.close(SAID)
        os._exit(0)

    for number in ENDING:
        signal.signal(number, lambda got, _: asked.put(got))
        if early.heard(number):
            asked.put(number)
    threading.Thread(target=end, name="otelhealth-end", daemon=True).start()


def reload_on_hangup(agent: Agent) -> None:
    """SIGHUP lets the agent, which is entered, read its file again; one that came before is not lost."""
    loop, reloads = asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def reload() -> None:
        task = loop.create_task(agent.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGHUP, reload)
        if early.heard(signal.SIGHUP):
            reload()


def _settle() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def _raise_file_limit() -> None:
    """Room for a thousand hanging checks beside those that answer: the usual soft limit is 1,024.

    Raises OtelHealthError where there is too little for an agent alone.
    """
    if sys.platform != "win32":
        soft, hard = getrlimit(RLIMIT_NOFILE)
        wanted = MOST_FILES if hard < 0 else min(hard, MOST_FILES)
        if 0 <= soft < wanted:
            setrlimit(RLIMIT_NOFILE, (wanted, hard))
        if wanted < LEAST_FILES:
            raise OtelHealthError(
                f"this process may have {wanted} files open, and an agent needs {LEAST_FILES} at least",
                "raise the limit: `ulimit -n 1024`, LimitNOFILE= of systemd, or --ulimit nofile= of a container",
            )


def _open_standard_streams() -> None:
    """libuv aborts the process when it closes a descriptor below 3, which a socket has where these were closed."""
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)
