"""Which metrics tell how long a service took to answer, and what is taken from a point of theirs."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from otelhealth.probes import is_probed
from otelhealth.telemetry import application as told
from otelhealth.telemetry.distribution import Distribution
from otelhealth.telemetry.names import ERROR_TYPE

STABLE, OLD = told.REQUESTS.name, "http.server.duration"
NAMES = {STABLE: 1.0, OLD: 0.001}  # seconds of its unit, where the metric does not tell it
DELTA, CUMULATIVE = TEMPORALITIES = 1, 2
NO_VALUE = 1  # a flag of points
_UNITS = {"s": 1.0, "ms": 0.001, "us": 1e-6, "ns": 1e-9}
_STATUS_CODES = (told.STATUS, "http.status_code")
_PATHS = (told.ROUTE, "url.path", "http.target")
WANTED = frozenset({*_STATUS_CODES, *_PATHS, ERROR_TYPE, told.SYNTHETIC})
Value = str | int


class Point(NamedTuple):
    """Requests of one series until `time`, from `start` on where they are cumulative; Unix nanoseconds."""

    series: bytes
    cumulative: bool
    start: int
    time: int
    attributes: Mapping[str, Value]  # those WANTED
    durations: Distribution


Named = tuple[str, Point]  # the metric's name


def seconds_of(name: str, unit: str) -> float | None:
    """Seconds in the unit of a metric of NAMES; None where it is no time."""
    return _UNITS.get(unit) if unit else NAMES[name]


def series_of(*parts: bytes) -> bytes:
    """What tells a series from others, in 16 bytes: nothing of its attributes is remembered."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(4, "little") + part)
    return digest.digest()


def failed(attributes: Mapping[str, object]) -> bool:
    """Whether the server erred: status 500 and above, or an exception."""
    codes = [attributes[key] for key in _STATUS_CODES if key in attributes]
    return ERROR_TYPE in attributes or any(isinstance(code, int) and code >= 500 for code in codes)


def is_probe(attributes: Mapping[str, object]) -> bool:
    """Whether somebody looked after the service's health instead of using it."""
    paths = [str(attributes[key]) for key in _PATHS if key in attributes]
    return attributes.get(told.SYNTHETIC) == "test" or any(is_probed(path) for path in paths)
