"""The measurements that every connecting kind has: the seconds of its phases, the days of a certificate."""

from __future__ import annotations

from otelhealth.checks.base import Quantity
from otelhealth.checks.stream import Attempt
from otelhealth.model import Measurement

DAY = 86400.0
PHASES = {
    "dns": "Time to look the name up.",
    "connect": "Time to connect.",
    "tls": "Time of the TLS handshake.",
    "dialogue": "Time to send and receive.",
    "first_byte": "Time from the request to the first byte of the answer.",
    "transfer": "Time to read the rest of the answer.",
}


def phase_quantities(*names: str) -> tuple[Quantity, ...]:
    """In the record and for levels only: as series they would be five more for each check, and the span has them."""
    return tuple(Quantity(name, "s", "gauge", PHASES[name], "") for name in names)


def days_quantity(name: str) -> Quantity:
    return Quantity(name, "d", "gauge", "Days until the certificate expires.", "otelhealth.tls.days_left")


def phase_measurements(attempt: Attempt) -> list[Measurement]:
    """Of the phases that were reached, in order."""
    phases = attempt.phases
    return [Measurement(name, phases[name], "s") for name in PHASES if name in phases]


def days_measurement(name: str, expires: float, now: float) -> Measurement:
    """`expires` and `now` in Unix seconds."""
    return Measurement(name, (expires - now) / DAY, "d")
