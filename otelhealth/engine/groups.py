"""Which checks belong to which group, and how many of them hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from otelhealth.checks.base import Check


class Groups:
    """The enabled checks of each group, and whether each passes or warns."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, bool]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def join(self, check: Check) -> None:
        if check.enabled:
            for group in check.groups:
                self._members.setdefault(group, {})[check.name] = False

    def leave(self, check: Check) -> None:
        for group in check.groups:
            members = self._members.get(group, {})
            members.pop(check.name, None)
            if not members:
                self._members.pop(group, None)

    def tell(self, check: Check, good: bool) -> bool:
        """Note whether a check holds; whether that is news to one of its groups."""
        news = False
        for group in check.groups:
            members = self._members.get(group)
            if members is not None and members.get(check.name, good) is not good:
                members[check.name] = good
                news = True
        return news

    def members(self, group: str) -> Iterable[str]:
        return self._members.get(group, {}).keys()

    def count(self, group: str) -> tuple[int, int]:
        """How many of its checks hold, and how many it has."""
        members = self._members.get(group, {})
        return sum(members.values()), len(members)
