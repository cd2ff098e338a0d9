"""The whole configuration: the other rooms' settings, the checks, and what holds between them."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SecretStr, SerializeAsAny, field_validator, model_validator

from otelhealth.checks.base import Check, Interval, Retries, RetryDelay, Threshold, Tier, Timeout
from otelhealth.checks.registry import find_kind
from otelhealth.checks.secret import secrets_of
from otelhealth.config.rules import broken
from otelhealth.config.where import dotted
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


def with_defaults(check: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """`check` (as written) with what it leaves to `defaults`; a `cron` stands instead of the default `every`."""
    merged = {key: value for key, value in defaults.items() if not (key == "every" and "cron" in check)}
    merged |= check
    own, common = check.get("threshold"), defaults.get("threshold")
    if isinstance(own, Mapping) and isinstance(common, Mapping):
        merged["threshold"] = {**common, **own}
    return merged


class Config(Settings):
    """`otelhealth.yaml`, read, expanded and judged. Immutable: a reload makes a new one."""

    service: ServiceSettings = Field(default_factory=ServiceSettings, description="Which service this is.")
    server: ServerSettings = Field(default_factory=ServerSettings, description="Where `/health` answers, and to whom.")
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings, description="What leaves over OTLP.")
    log: LogSettings = Field(default_factory=LogSettings, description="What the agent tells of its own work.")
    store: StoreSettings = Field(default_factory=StoreSettings, description="Where states and history are kept.")
    defaults: Defaults = Field(default_factory=Defaults, description="What checks take that do not say it themselves.")
    checks: dict[str, SerializeAsAny[Check]] = Field(default_factory=dict, description="The checks by name.")
    status: StatusSettings = Field(default_factory=StatusSettings, description="How checks make the service's status.")
    exec: ExecSettings = Field(default_factory=ExecSettings, description="How `otelhealth exec` runs a command.")
    file: Path | None = Field(None, exclude=True, description="Where it was read from; None for the defaults.")
    given: tuple[SecretStr, ...] = Field((), exclude=True, description="Secrets that variables and files gave to it.")

    def identity(self, role: str, slot: int = 0) -> Identity:
        """Of an agent that lives by this configuration."""
        service = self.service
        return Identity(service.name, service.version, service.environment, str(self.file or ""), role, slot)

    @property
    def secrets(self) -> frozenset[str]:
        """Every value in it that may not be told: by its type, and that does not stand openly in it too."""
        open_ones = {self.service.name, self.service.version, self.service.environment, *self.checks}
        sections = [each for name in type(self).model_fields if isinstance(each := getattr(self, name), Settings)]
        found = [value for each in (*sections, *self.checks.values()) for value in secrets_of(each)]
        return frozenset((*found, *(value.get_secret_value() for value in self.given))) - open_ones

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("checks"), Mapping):
            return data
        defaults = data.get("defaults") or {}
        raw = defaults if isinstance(defaults, Mapping) else {}
        checks = {name: _read(name, check, raw) for name, check in data["checks"].items()}
        return {**data, "checks": checks}

    @field_validator("checks")
    @classmethod
    def _named(cls, checks: dict[str, Check]) -> dict[str, Check]:
        return {
            name: check if check.name == name else check.model_copy(update={"name": name})
            for name, check in checks.items()
        }

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        parents = {name: check.depends_on for name, check in self.checks.items()}
        groups = {group for check in self.checks.values() for group in check.groups}
        for path, sentence, remedy in broken(parents, groups, self.status):
            raise ValueError(f"{dotted(path)}: {sentence}; {remedy}")
        return self


def _read(name: str, check: Any, defaults: Mapping[str, Any]) -> Any:
    """A check from plain data, by its kind; checks that are Checks already are taken as they are."""
    if not isinstance(check, Mapping):
        return check
    kind = find_kind(str(check.get("kind")))
    if kind is None:
        raise ValueError(f"checks.{name}: unknown kind {check.get('kind')!r}; `otelhealth kinds` lists them")
    return kind.model_validate({**with_defaults(check, defaults), "name": name})
