"""Fixtures of the telemetry room: a check of every instrument, a telemetry that sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import pytest

from otelhealth.checks.base import Check, Quantity
from otelhealth.clock import SYSTEM, Clock
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from tests.telemetry.receiver import Receiver

Open = Callable[..., Telemetry]


class Sample(Check):
    """A kind with one quantity of each instrument."""

    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("level", "1", "gauge", "A gauge.", "otelhealth.sample.level", ("mount",)),
        Quantity("read", "By", "counter", "A counter.", "otelhealth.sample.read"),
        Quantity(
            "open", "{file}", "updowncounter", "An up-down counter.", "otelhealth.sample.open", (), per_check=False
        ),
        Quantity("request", "s", "histogram", "A histogram.", "otelhealth.sample.request"),
        Quantity("kept", "s", "gauge", "For the record only.", ""),
    )
    kind: Literal["sample"] = "sample"


@pytest.fixture
def opened(receiver: Receiver) -> Iterator[Open]:
    """Opens a Telemetry on the receiver, with `telemetry` settings beside the endpoint; closes it at the end."""
    made: list[Telemetry] = []

    def open_telemetry(clock: Clock = SYSTEM, environ: dict[str, str] | None = None, **settings: Any) -> Telemetry:
        told = {"otlp": {"endpoint": receiver.endpoint}, "metrics": {"interval": "1h"}} | settings
        telemetry = Telemetry.prepare(
            TelemetrySettings.model_validate(told), Identity("shop", "1.4.2", "test"), clock, environ or {}
        ).start()
        made.append(telemetry)
        return telemetry

    yield open_telemetry
    for telemetry in made:
        telemetry.close(1.0)
