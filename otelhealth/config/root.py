"""The whole configuration: the other rooms' settings, and the checks."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from otelhealth.checks.base import Check, Interval, Retries, RetryDelay, Threshold, Tier, Timeout
from otelhealth.checks.secret import secrets_of
from otelhealth.cron import Zone
from otelhealth.engine.aggregate import StatusSettings
from otelhealth.errors import UNFIT
from otelhealth.logs.settings import LogSettings
from otelhealth.server.settings import ServerSettings
from otelhealth.settings import Settings
from otelhealth.store import StoreSettings
from otelhealth.supervise.settings import ExecSettings
from otelhealth.telemetry.resource import Identity
from otelhealth.telemetry.settings import TelemetrySettings
from otelhealth.units import Duration, Share


def _printable(text: str) -> str:
    if UNFIT.search(text):
        raise ValueError(f"{text!r} holds a control character; remove it")
    return text


Label = Annotated[str, AfterValidator(_printable)]


class ServiceSettings(Settings):
    """Which service this is: the telemetry's resource, and `/health`."""

    name: Label = Field(
        default_factory=lambda: platform.node() or "unknown_service",
        min_length=1,
        max_length=200,
        description="`service.name`. Default: OTEL_SERVICE_NAME, else the host's name.",
    )
    version: Label = Field("", max_length=200, description="`service.version`.")
    environment: Label = Field("", max_length=200, description="`deployment.environment.name`, such as production.")


class Defaults(Settings):
    """What a check takes that does not say it itself; `threshold` field by field."""

    every: Interval | None = Field(None, description="Interval between starts.")
    timezone: Zone | None = Field(None, description="IANA zone of `cron`.")
    timeout: Timeout | None = Field(None, description="Deadline of one attempt.")
    retries: Retries | None = Field(None, description="Further attempts when one fails.")
    retry_delay: RetryDelay | None = Field(None, description="Pause before each further attempt.")
    jitter: Share | None = Field(None, description="Share of `every` by which each start is moved at random.")
    grace: Duration | None = Field(None, description="No finished run within every + grace: `unknown`, stale.")
    tier: Tier | None = Field(None, description="1 is the most important.")
    groups: tuple[str, ...] | None = Field(None, description="`live`, `ready`, `startup`, or own groups.")
    tags: tuple[str, ...] | None = Field(None, description="Free labels, shown and matched.")
    threshold: Threshold | None = Field(None, description="When runs make a state.")
    propagate: bool | None = Field(None, description="Send `traceparent` to the target.")


@dataclass(frozen=True, kw_only=True)
class Config:
    """`otelhealth.yaml`, read and judged: made by `load` and `from_mapping` alone. A reload makes a new one."""

    service: ServiceSettings
    server: ServerSettings
    telemetry: TelemetrySettings
    log: LogSettings
    store: StoreSettings
    defaults: Defaults
    checks: Mapping[str, Check]
    status: StatusSettings
    exec: ExecSettings
    file: Path | None  # where it was read from; None for the defaults
    given: tuple[SecretStr, ...]  # secrets that variables and files gave to it

    def identity(self, role: str, slot: int = 0) -> Identity:
        """Of an agent that lives by this configuration."""
        service = self.service
        return Identity(service.name, service.version, service.environment, str(self.file or ""), role, slot)

    @property
    def secrets(self) -> frozenset[str]:
        """Every value in it that may not be told: by its type, and that does not stand openly in it too."""
        open_ones = {self.service.name, self.service.version, self.service.environment, *self.checks}
        sections = (getattr(self, name) for name in SECTIONS)
        found = [value for each in (*sections, *self.checks.values()) for value in secrets_of(each)]
        return frozenset((*found, *(value.get_secret_value() for value in self.given))) - open_ones


SECTIONS: Mapping[str, type[Settings]] = {
    field.name: field.type
    for field in fields(Config)
    if isinstance(field.type, type) and issubclass(field.type, Settings)
}
