"""`otelhealth validate`: all that is wrong with a configuration, each thing with its place and remedy."""

from __future__ import annotations

import argparse
from pathlib import Path

from otelhealth.cli.source import UNUSABLE, load_or_say


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, help="default: what `otelhealth run` would read")


def run(arguments: argparse.Namespace) -> int:
    config = load_or_say(arguments.file)
    if config is None:
        return UNUSABLE
    count = len(config.checks)
    print(f"{config.file or 'embedded defaults'}: good, {count} check{'s' if count != 1 else ''}")
    return 0
