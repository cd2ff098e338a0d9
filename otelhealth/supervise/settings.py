"""What a user sets of `otelhealth exec`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from otelhealth.settings import Settings
from otelhealth.supervise.restarts import Policy, Rules
from otelhealth.units import Duration


class RestartSettings(Settings):
    """When a command that ended is started again."""

    policy: Policy = Field("never", description="`on-failure`: after an exit code that is not 0.")
    backoff: Duration = Field(1.0, ge=0.01, le=3600, description="The first pause; each further one is twice as long.")
    max_backoff: Duration = Field(60.0, ge=0.01, le=86400, description="The longest pause.")
    max_restarts: int | None = Field(None, ge=0, le=1_000_000, description="In a row; without it, any number.")
    steady: Duration = Field(60.0, gt=0, le=86400, description="A run of this length ends a row, and the back-off.")

    def rules(self) -> dict[str, Any]:
        """As plain values, of which the supervisor makes its Rules."""
        return Rules(self.policy, self.backoff, self.max_backoff, self.max_restarts, self.steady)._asdict()


class ExecSettings(Settings):
    """How `otelhealth exec` runs a command."""

    grace: Duration = Field(
        10.0, ge=0, le=86400, description="From the first SIGTERM or SIGINT to the SIGKILL of the whole tree."
    )
    restart: RestartSettings = Field(default_factory=RestartSettings, description="Whether it is started again.")
    instrument: bool = Field(True, description="Whether Python programs in it are instrumented.")
