"""`otelhealth schema`: the JSON schema that gives an editor completion and descriptions."""

from __future__ import annotations

import argparse
import json

from otelhealth.config.schema import json_schema


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "first line of a config: # yaml-language-server: $schema=otelhealth.schema.json"


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - commands share one signature
    print(json.dumps(json_schema(), indent=2))
    return 0
