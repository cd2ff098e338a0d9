"""What a command gets of `otelhealth exec` besides its own environment: where to export, who it is, how Python starts.

What the user has set for the service stays, but for where it exports to: the agent takes that as its own way on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from otelhealth.telemetry.detector import INSTANCE
from otelhealth.telemetry.resource import FOLDER, INSTANCE_ID, resource_attributes

CONFIG = "OTELHEALTH_BESIDE_CONFIG"  # the file whose checks another agent runs; "" for the embedded defaults
BOOT = Path(__file__).with_name("boot")
_WAY = re.compile(
    r"OTEL_EXPORTER_OTLP_(?:(?:TRACES|METRICS|LOGS)_)?"
    r"(?:ENDPOINT|HEADERS|PROTOCOL|TIMEOUT|COMPRESSION|CERTIFICATE|CLIENT_CERTIFICATE|CLIENT_KEY|INSECURE)"
    r"|OTEL_PYTHON_EXPORTER_OTLP_\w*CREDENTIAL_PROVIDER"
)


def of_file(file: Path | None) -> dict[str, str]:
    """What tells a command of the configuration that is the agent's: its checks, and that it receives, are so too."""
    return {CONFIG: path_of(file), "OTELHEALTH_TELEMETRY__RECEIVE": "null"}


def is_watched_beside(file: Path | None, environ: Mapping[str, str]) -> bool:
    """Whether another agent of this program runs the checks of that configuration."""
    return environ.get(CONFIG) == path_of(file)


def path_of(file: Path | None) -> str:
    return str(file.resolve()) if file else ""


class Changes(NamedTuple):
    """Of an environment: what is set, and what is taken out."""

    environment: Mapping[str, str]
    without: tuple[str, ...]


def of_command(
    environ: Mapping[str, str], resource: Mapping[str, str], endpoint: str, folder: str, *, instrument: bool
) -> Changes:
    """The changes to `environ` for a command whose `resource` the agent has worked out.

    `endpoint` is the agent's own OTLP receiver; "" leaves the user's way as it is.
    """
    told = resource_attributes(environ)
    described = {key: value for key, value in resource.items() if not key.startswith("telemetry.")} | told
    changed = {
        "OTEL_SERVICE_NAME": described["service.name"],
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={quote(text, safe='')}" for key, text in described.items()),
        FOLDER: folder,
    }
    without = [name for name in environ if endpoint and _WAY.fullmatch(name)]
    if endpoint:
        changed |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    if INSTANCE_ID not in told:
        changed[INSTANCE] = described[INSTANCE_ID]
    if instrument:
        before = environ.get("PYTHONPATH", "")
        changed["PYTHONPATH"] = f"{BOOT}{os.pathsep}{before}" if before else str(BOOT)
    return Changes(changed, tuple(name for name in without if name not in changed))
