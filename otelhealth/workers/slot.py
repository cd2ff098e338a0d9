"""The number of a worker among those of its service: the lowest that is free, kept as long as its process lives."""

from __future__ import annotations

import logging
from pathlib import Path

from otelhealth.errors import OtelHealthError
from otelhealth.lock import Claim, claim
from otelhealth.sqlite import refuses_for_now

_MOST = 1024
_REMEDY = "make its folder writable, or set `store.path` (`:memory:` keeps nothing)"
log = logging.getLogger("otelhealth.workers")


def slot_beside(store: Path) -> Claim | None:
    """None where the disk refuses it for now: the worker then knows of no others. Else raises OtelHealthError."""
    try:
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = claim(store.with_name(f"{store.stem}-worker-{number}") for number in range(_MOST))
    except OSError as error:
        if refuses_for_now(error):
            log.error("this worker runs all checks itself, for it cannot meet the others beside %s: %s", store, error)  # noqa: TRY400 - the sentence is enough
            return None
        raise OtelHealthError(f"nothing can be kept beside the store {store}: {error.strerror}", _REMEDY) from error
    if found is None:
        raise OtelHealthError(f"{_MOST} workers of this service run already", "give this one its own `store.path`")
    return found
