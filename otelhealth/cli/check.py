"""`otelhealth check`: each check once, this run judged alone; exit codes are those of monitoring plugins."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from otelhealth.cli.source import load_or_say
from otelhealth.cli.table import table
from otelhealth.errors import OtelHealthError
from otelhealth.model import Status
from otelhealth.once import run_once
from otelhealth.plain import finite
from otelhealth.records import CheckRecord, MeasurementRecord
from otelhealth.units import duration_text, quantity_text

UNKNOWN = 3
EXIT_CODES = {Status.FAIL: 2, Status.UNKNOWN: UNKNOWN, Status.WARN: 1, Status.PASS: 0}  # the first that occurs is taken


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these checks")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="default: what `otelhealth run` would read")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default table")


def exit_code(records: Mapping[str, CheckRecord]) -> int:
    """2 when any failed, else 3 when any is unknown, else 1 when any warned, else 0; disabled ones do not count."""
    seen = {Status(record["status"]) for record in records.values() if record["enabled"]}
    return next((code for status, code in EXIT_CODES.items() if status in seen), 0)


def _measurements(measurements: Mapping[str, MeasurementRecord]) -> str:
    shown = [f"{name} {quantity_text(m['value'], m['unit'])}" for name, m in measurements.items()]
    return ", ".join(shown[:6]) + (f", {len(shown) - 6} more" if len(shown) > 6 else "")


def as_table(records: Mapping[str, CheckRecord], width: int = 0) -> str:
    """The worst first. Of the measurements there is what a terminal of `width` columns has room for (0: all)."""
    order = list(EXIT_CODES)
    rows = [
        (
            record["status"] if record["enabled"] else "off",
            name,
            duration_text(record["duration_ms"] / 1000),
            record["message"],
            _measurements(record["measurements"]),
        )
        for name, record in sorted(records.items(), key=lambda item: order.index(Status(item[1]["status"])))
    ]
    lines = table(("status", "check", "took", "message", "measurements"), rows)
    start = lines[0].index("MEASUREMENTS")
    return "\n".join(_fitted(line, start, width) for line in lines)


def _fitted(line: str, start: int, width: int) -> str:
    if not width or len(line) <= width:
        return line
    end = line.rfind(", ", start, width)
    return line[: end if end > 0 else start].rstrip()


def run(arguments: argparse.Namespace) -> int:
    config = load_or_say(arguments.config)
    if config is None:
        return UNKNOWN
    try:
        records = asyncio.run(run_once(config, *arguments.names))
    except OtelHealthError as error:
        print(f"otelhealth: {error}", file=sys.stderr)
        return UNKNOWN
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    print(json.dumps(finite(records), indent=2) if arguments.format == "json" else as_table(records, width))
    return exit_code(records)
