"""Which failure explains another, by `depends_on`."""

from __future__ import annotations

from collections.abc import Mapping

from otelhealth.engine.state import CheckState
from otelhealth.model import GOOD, Status


def root_cause(name: str, states: Mapping[str, CheckState]) -> str | None:
    """The failed check at the root of what `name` depends on; None where it holds, or none of those fails."""
    state = states.get(name)
    if state is None or state.status in GOOD or state.pending:
        return None
    return _root(state, states, {name})


def _root(state: CheckState, states: Mapping[str, CheckState], seen: set[str]) -> str | None:
    for parent in state.check.depends_on:
        found = states.get(parent)
        if found is None or parent in seen or not found.check.enabled:
            continue
        seen.add(parent)
        root = _root(found, states, seen)
        if root or found.status is Status.FAIL:
            return root or parent
    return None
