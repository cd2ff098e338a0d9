"""What must hold between checks, and between checks and the rest. Pure; says what is broken by path."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from otelhealth.config.where import Way
from otelhealth.engine.aggregate import StatusSettings
from otelhealth.errors import near

MAX_CYCLES = 20
GROUPS = frozenset(("live", "ready", "startup"))  # those that endpoints ask for


class Broken(NamedTuple):
    """A rule that does not hold at `path`."""

    path: Way
    sentence: str
    remedy: str


def broken(
    parents: Mapping[str, Sequence[str]], groups: AbstractSet[str], status: StatusSettings | None
) -> Iterator[Broken]:
    """Every rule that does not hold, given what each check depends on and the groups that checks are in."""
    for name, above in parents.items():
        for index, parent in enumerate(above):
            if parent not in parents:
                yield _unknown(("checks", name, "depends_on", index), parent, parents)
    yield from _circular(parents)
    if status is None:
        return
    for index, window in enumerate(status.maintenance):
        for position, name in enumerate(() if window.checks == "all" else window.checks):
            if name not in parents:
                yield _unknown(("status", "maintenance", index, "checks", position), name, parents)
    for group in status.groups:
        if group not in groups | GROUPS:
            remedy = near(group, groups | GROUPS, "name it under a check's `groups`")
            yield Broken(("status", "groups", group), f"no check is in group {group!r}", remedy)


def _unknown(path: Way, name: str, names: Iterable[str]) -> Broken:
    return Broken(path, f"there is no check {name!r}", near(name, names, "name one that stands under `checks`"))


def _circular(parents: Mapping[str, Sequence[str]]) -> Iterator[Broken]:
    order = {name: number for number, name in enumerate(parents)}
    left = {name: [each for each in above if each in order] for name, above in parents.items()}
    for _ in range(MAX_CYCLES):
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            cycle = error.args[1][:0:-1]  # each depends on the next; the first is not repeated
            start = cycle.index(min(cycle, key=order.__getitem__))
            cycle = cycle[start:] + cycle[:start]
            text = " -> ".join([*cycle, cycle[0]])
            yield Broken(("checks", cycle[0], "depends_on"), f"circular: {text}", "remove one of these dependencies")
            left[cycle[0]] = [each for each in left[cycle[0]] if each != cycle[1 % len(cycle)]]
        else:
            return
