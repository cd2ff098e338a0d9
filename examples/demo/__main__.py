"""`make demo`: starts all of it, says where to look, and leaves nothing behind when it ends."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from examples.demo.line import CONFIG, Line, line
from tests.stack.child import undisturbed
from tests.stack.server import ServerError

ENDS = (signal.SIGINT, signal.SIGTERM)
LOOK_EVERY = 0.2  # s


class Ended(BaseException):
    """The signal that ends the demo; no error, so that nothing on the way reports it as one."""


def deaf() -> None:
    """From the end on: more signals, from an impatient hand, must not disturb the cleaning up."""
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)


def end(number: int, _frame: FrameType | None) -> None:
    deaf()
    raise Ended(number)


def hang_up(_number: int, _frame: FrameType | None) -> None:
    """The terminal is gone. Goes the way of SIGTERM, which is held back while a program is being started."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.raise_signal(signal.SIGTERM)


def welcome(running: Line, folder: Path) -> str:
    """What runs where, and commands that show it."""
    shop, agent, jaeger, prometheus = running.shop.url, running.agent.url, running.jaeger.url, running.prometheus.url
    now = datetime.now(UTC)
    since, until = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (now, now + timedelta(days=1)))
    searched = f"query.start_time_min={since}&query.start_time_max={until}&query.num_traces=5&query.search_depth=5"
    rates = "sum by (le, otelhealth_check_name) (rate(otelhealth_check_duration_seconds_bucket[1m]))"
    asked = f"curl -sG {prometheus}/api/v1/query --data-urlencode"
    return f"""\
otelhealth demo: a service, its health agent, and where its telemetry goes; Ctrl-C ends all of it
  shop        {shop}   /items, /report (slow at times), /checkout (fails for the last 20 s of each minute)
  agent       {agent}   watches {CONFIG}
  collector   {running.collector.otlp_url}   takes OTLP, writes log events to a file
  jaeger      {jaeger}   traces; the API, no pages
  prometheus  {prometheus}   metrics; the API, no pages
  logs        {folder}/*/*.log

try:
  curl -s {agent}/health/detailed
  curl -s {agent}/health/checks/checkout
  curl -s {agent}/metrics
  curl -s '{jaeger}/api/v3/traces?query.service_name=shop&{searched}'
  {asked} 'query=otelhealth_check_status == 1'
  {asked} 'query=histogram_quantile(0.95, {rates})'
  {asked} 'query=system_memory_usage_bytes'
  tail -n 3 {running.collector.folder}/data/logs.jsonl
"""


def stay(running: Line, until: float) -> int:
    """Until that monotonic time, or until one of them has stopped by itself."""
    while time.monotonic() < until:
        for server in running.ended():
            print(f"demo: {server.program} has stopped; the end of its log:\n{server.tail()}", file=sys.stderr)
            return 1
        time.sleep(LOOK_EVERY)
    return 0


def run(folder: Path, seconds: float) -> int:
    print("starting Jaeger, Prometheus, Collector, shop and agent ...", flush=True)
    try:
        with line(folder) as running:
            print(welcome(running, folder), flush=True)
            code = stay(running, time.monotonic() + seconds)
            deaf()
            return code
    except ServerError as error:
        deaf()
        print(f"demo: {error}", file=sys.stderr)
        return 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--for", type=float, default=float("inf"), metavar="SECONDS", dest="long", help="end by itself")
    arguments = parser.parse_args()
    for number in ENDS:
        signal.signal(number, end)
    signal.signal(signal.SIGHUP, hang_up)
    with suppress(Ended):
        with undisturbed():
            room = tempfile.TemporaryDirectory(prefix="otelhealth-demo-")
        with room:
            return run(Path(room.name), arguments.long)
    print("ended; nothing is left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
