"""What each check asks of the service's status, and how many ask the same: so that one run never counts them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from otelhealth.engine.aggregate import (
    HEALTHY,
    Standing,
    StatusSettings,
    by_majority,
    by_tiers,
)
from otelhealth.engine.groups import Groups
from otelhealth.model import GOOD, ServiceStatus, Status


class Standings:
    """The standing of each check that counts, and their tally."""

    def __init__(self) -> None:
        self._of: dict[str, Standing] = {}
        self.tally: Counter[Standing] = Counter()

    def put(self, name: str, standing: Standing | None) -> bool:
        """Note how a check stands, None where it does not count; whether that is news."""
        before = self._of.get(name)
        if standing == before:
            return False
        if before:
            del self._of[name]
            self.tally[before] -= 1
            if not self.tally[before]:
                del self.tally[before]
        if standing:
            self._of[name] = standing
            self.tally[standing] += 1
        return True

    def bad(self) -> Iterator[str]:
        """The checks that fail, or are unknown past their grace."""
        return (name for name, (_, status, pending) in self._of.items() if status not in GOOD and not pending)

    def healthy(self) -> int:
        """How many pass or warn."""
        return sum(count for (_, status, _), count in self.tally.items() if status in GOOD)

    def status(self, settings: StatusSettings, groups: Groups) -> ServiceStatus:
        """The service's, by its policy."""
        if settings.policy == "majority":
            return by_majority(self.tally)
        return by_tiers(self._without_tolerated(settings, groups), settings)

    def _without_tolerated(self, settings: StatusSettings, groups: Groups) -> Mapping[Standing, int]:
        """The tally, where a failing member of groups that can do without it stands like a warning."""
        holds = {name: settings.holds(name, *groups.count(name)) for name in settings.groups if settings.tolerant(name)}
        members = {check for group in holds for check in groups.members(group)}
        if not members:
            return self.tally
        tally = Counter(self.tally)
        for name in members:
            standing = self._of.get(name)
            if standing is None or standing[1] is not Status.FAIL or settings.of(*standing) is HEALTHY:
                continue
            if all(held for group, held in holds.items() if name in groups.members(group)):
                tally[standing] -= 1
                tally[(standing[0], Status.WARN, False)] += 1
        return tally
