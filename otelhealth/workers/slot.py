"""The number of a worker among those of its service: the lowest that is free, kept as long as its process lives."""

from __future__ import annotations

from pathlib import Path

from otelhealth.errors import OtelHealthError
from otelhealth.lock import Claim, claim

_MOST = 1024
_REMEDY = "make its folder writable, or set `store.path` (`:memory:` keeps nothing)"


def slot_beside(store: Path) -> Claim:
    """Raises OtelHealthError where there can be none."""
    try:
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = claim(store.with_name(f"{store.stem}-worker-{number}") for number in range(_MOST))
    except OSError as error:
        raise OtelHealthError(f"nothing can be kept beside the store {store}: {error.strerror}", _REMEDY) from error
    if found is None:
        raise OtelHealthError(f"{_MOST} workers of this service run already", "give this one its own `store.path`")
    return found
