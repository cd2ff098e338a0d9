"""Spools that deliver to the receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otelhealth.clock import SYSTEM, Clock
from otelhealth.spool import Otlp, Spool, SpoolSettings
from otelhealth.spool.place import Place
from otelhealth.spool.settings import SIGNALS
from otelhealth.telemetry.content import OtlpContent
from tests.spool.secure import SecureReceiver
from tests.telemetry.receiver import Receiver

Open = Callable[..., Spool]


@pytest.fixture
def opened(receiver: Receiver, tmp_path: Path) -> Iterator[Open]:
    """Opens a spool that delivers to the receiver, with these settings of it; closes it at the end."""
    made: list[Spool] = []

    def open_spool(
        *,
        in_memory: bool = False,
        slot: int = 0,
        clock: Clock = SYSTEM,
        timeout: str = "30s",
        endpoint: str = "",
        **settings: object,
    ) -> Spool:
        place = None if in_memory else Place.beside(tmp_path, "agent", slot, "shop")
        base = endpoint or receiver.endpoint
        told = {
            signal: Otlp.model_validate({"endpoint": f"{base}/v1/{signal}", "timeout": timeout}) for signal in SIGNALS
        }
        spool = Spool(told, place, SpoolSettings.model_validate(settings), OtlpContent(), clock)
        made.append(spool)
        return spool

    yield open_spool
    for spool in made:
        spool.close(1.0)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureReceiver]:
    found = SecureReceiver(tmp_path)
    yield found
    found.close()
