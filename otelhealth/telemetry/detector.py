"""A `service.instance.id` for each process below `otelhealth exec`: stable over restarts, another for each worker."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from opentelemetry.sdk.resources import Resource, ResourceDetector

from otelhealth.lock import Claim, claim
from otelhealth.telemetry.resource import FOLDER, INSTANCE_ID

INSTANCE = "OTELHEALTH_INSTANCE"  # the id of the service's first process
_MOST = 1024  # processes that are told apart


class InstanceDetector(ResourceDetector):
    """Entry point `opentelemetry_resource_detector`: the SDK asks it again after a fork."""

    def is_process_dependent(self) -> bool:
        return True

    def detect(self) -> Resource:
        """Nothing outside `exec`, and where its directory cannot be written: the SDK's own, random one stays then."""
        base, slot = os.environ.get(INSTANCE), _own.slot(os.environ)
        return Resource({INSTANCE_ID: instance(base, slot)} if base and slot is not None else {})


def instance(base: str, slot: int) -> str:
    """The id of the process with that number; the first has the service's own."""
    return str(uuid.uuid5(uuid.UUID(base), str(slot))) if slot else base


def without_instance(attributes: str) -> str:
    """A value of OTEL_RESOURCE_ATTRIBUTES without `service.instance.id`, everything else as it stood."""
    pairs = attributes.split(",")
    return ",".join(pair for pair in pairs if pair.partition("=")[0].strip() != INSTANCE_ID)


class _Slot:
    """The lowest number that no other living process of this `exec` has."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._pid = 0
        self._held: Claim | None = None

    def slot(self, environ: Mapping[str, str]) -> int | None:
        with self._guard:
            if FOLDER in environ and self._pid != os.getpid():
                self._pid, self._held = os.getpid(), None
                folder = Path(environ[FOLDER])
                with suppress(OSError):
                    self._held = claim(folder / f"slot-{number}" for number in range(_MOST))
            return self._held.number if self._held else None


_own = _Slot()
os.register_at_fork(after_in_child=lambda: setattr(_own, "_guard", threading.Lock()))
