"""The figures of docs/figures.md, each beside its yardstick and measured with it in one run."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping

from benchmarks import asgi, check_cost, figures, many, receive, rest, serving, spool
from benchmarks.measure import Row

BENCHMARKS: Mapping[str, Callable[[bool], Iterator[Row]]] = {
    "check": check_cost.run,
    "many": many.run,
    "rest": rest.run,
    "serving": serving.run,
    "receive": receive.run,
    "figures": figures.run,
    "asgi": asgi.run,
    "spool": spool.run,
}


def table(rows: list[Row]) -> str:
    lines = ["| work | at most | aim | measured |", "|---|---|---|---|"]
    for row in rows:
        mark = " **missed**" if row.missed else ""
        lines.append(f"| {row.work} | {row.at_most} | {row.aim} | {row.measured}{mark} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []], help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes; the figures mean nothing")
    arguments = parser.parse_args()
    rows: list[Row] = []
    begun = time.monotonic()
    for name in arguments.names or BENCHMARKS:
        print(f"{name} ...", flush=True)
        rows += BENCHMARKS[name](arguments.quick)
    print(f"\n{table(rows)}\n\n{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
