"""What the states of the checks make of the service: its status and score. Pure; how to judge is in the settings."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from otelhealth.checks.base import TIERS
from otelhealth.engine.maintenance import Window
from otelhealth.model import GOOD, ServiceStatus, Status
from otelhealth.settings import Settings

WEIGHTS = {1: 8.0, 2: 4.0, 3: 2.0, 4: 1.0}
VALUES = {Status.PASS: 1.0, Status.WARN: 0.5}
RANK = {status: rank for rank, status in enumerate(ServiceStatus)}
HEALTHY, DEGRADED, UNHEALTHY, CRITICAL = ServiceStatus
_TIERS = {1: CRITICAL, 2: UNHEALTHY, 3: DEGRADED, 4: DEGRADED}

Rule = Literal["all", "any"] | Annotated[int, Field(ge=1)]
Standing = tuple[int, Status, bool]  # tier, status, pending: all that the service's status asks of a check


class StatusSettings(Settings):
    """How the service is judged by its checks."""

    policy: Literal["tiers", "majority"] = Field(
        "tiers",
        description="`tiers`: the worst check decides, by its tier. `majority`: degraded while more than half of the "
        "checks hold, else unhealthy; critical when none does.",
    )
    tiers: dict[int, ServiceStatus] = Field(
        default_factory=lambda: dict(_TIERS), description="What a failing check of a tier makes of the service."
    )
    groups: dict[str, Rule] = Field(
        default_factory=dict,
        description="How many checks of a group must hold: `all` (default), `any`, or a number. While a group of `any` "
        "or a number holds, a failing member makes the service `degraded` at most.",
    )
    maintenance: tuple[Window, ...] = Field((), description="When checks are expected to be down and do not count.")

    @field_validator("tiers")
    @classmethod
    def _all_tiers(cls, value: dict[int, ServiceStatus]) -> dict[int, ServiceStatus]:
        if strange := set(value) - set(TIERS):
            raise ValueError(f"there is no tier {min(strange)}; tiers are 1 to 4")
        return _TIERS | value

    def of(self, tier: int, status: Status, pending: bool) -> ServiceStatus:
        """What one check makes of the service by the policy `tiers`."""
        if status is Status.PASS or pending:
            return HEALTHY
        if status is Status.WARN:
            return DEGRADED
        if status is Status.FAIL:
            return self.tiers[tier]
        return worst((DEGRADED, self.tiers[1] if tier == 1 else DEGRADED))

    def holds(self, group: str, good: int, members: int) -> bool:
        """Whether a group with `good` of its `members` passing or warning holds."""
        rule = self.groups.get(group, "all")
        needed = members if rule == "all" else 1 if rule == "any" else rule
        return good >= min(needed, members)

    def tolerant(self, group: str) -> bool:
        """Whether the group may lose a member."""
        return self.groups.get(group, "all") != "all"


def worst(statuses: Iterable[ServiceStatus]) -> ServiceStatus:
    """The worst of them, healthy when there is none."""
    return max(statuses, key=RANK.__getitem__, default=HEALTHY)


def by_tiers(tally: Mapping[Standing, int], settings: StatusSettings) -> ServiceStatus:
    return worst(settings.of(*standing) for standing, count in tally.items() if count)


def by_majority(tally: Mapping[Standing, int]) -> ServiceStatus:
    """More than half holding: degraded by any warning or failure; else unhealthy, and critical when none holds."""
    judged = {standing: count for standing, count in tally.items() if count and not standing[2]}
    total = sum(judged.values())
    good = sum(count for (_, status, _), count in judged.items() if status in GOOD)
    if total == 0 or all(status is Status.PASS for _, status, _ in judged):
        return HEALTHY
    if 2 * good > total:
        return DEGRADED
    return UNHEALTHY if good else CRITICAL


def score(tally: Mapping[Standing, int]) -> float:
    """100 x sum(weight x value) / sum(weight); checks that are yet to run are left out; 100 without any."""
    judged = [
        (WEIGHTS[tier] * n, VALUES.get(status, 0.0)) for (tier, status, pending), n in tally.items() if not pending
    ]
    weight = sum(one for one, _ in judged)
    return 100.0 * sum(one * value for one, value in judged) / weight if weight else 100.0
