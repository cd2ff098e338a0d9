"""The number of a worker among those of its service: the lowest that is free, kept as long as its process lives."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from otelhealth.errors import OtelHealthError
from otelhealth.lock import Lock

_MOST = 1024
_REMEDY = "make its folder writable, or set `store.path` (`:memory:` keeps nothing)"


class Slot(NamedTuple):
    number: int
    lock: Lock


def claim(store: Path) -> Slot:
    """Beside the store. Raises OtelHealthError where there can be none."""
    try:
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(_MOST):
            lock = Lock(store.with_name(f"{store.stem}-worker-{number}"))
            if lock.take():
                return Slot(number, lock)
    except OSError as error:
        raise OtelHealthError(f"nothing can be kept beside the store {store}: {error.strerror}", _REMEDY) from error
    raise OtelHealthError(f"{_MOST} workers of this service run already", "give this one its own `store.path`")
