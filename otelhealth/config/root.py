"""The whole configuration: the other rooms' settings, and the checks."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

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


def _of_a_check(field: str) -> Any:
    """Left open; said in the words of the check's own field."""
    return Field(None, description=Check.model_fields[field].description)


class Defaults(Settings):
    """What a check takes that does not say it itself; `threshold` field by field."""

    every: Interval | None = _of_a_check("every")
    timezone: Zone | None = _of_a_check("timezone")
    timeout: Timeout | None = _of_a_check("timeout")
    retries: Retries | None = _of_a_check("retries")
    retry_delay: RetryDelay | None = _of_a_check("retry_delay")
    jitter: Share | None = _of_a_check("jitter")
    grace: Duration | None = _of_a_check("grace")
    tier: Tier | None = _of_a_check("tier")
    groups: tuple[str, ...] | None = _of_a_check("groups")
    tags: tuple[str, ...] | None = _of_a_check("tags")
    threshold: Threshold | None = _of_a_check("threshold")
    propagate: bool | None = _of_a_check("propagate")


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

    def identity(self, role: str, slot: int = 0, lone: str = "") -> Identity:
        """Of an agent that lives by this configuration."""
        service = self.service
        return Identity(service.name, service.version, service.environment, str(self.file or ""), role, slot, lone)

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
