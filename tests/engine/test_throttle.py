"""How often runs may be asked for."""

from __future__ import annotations

import pytest

from otelhealth.clock import ManualClock
from otelhealth.engine.throttle import Throttle
from otelhealth.errors import TooOftenError


def test_one_too_many_in_a_minute_is_refused_until_the_first_is_a_minute_old() -> None:
    clock = ManualClock()
    throttle = Throttle(2, clock)
    throttle.take()
    clock.advance(18.5)
    throttle.take()
    with pytest.raises(TooOftenError) as found:
        throttle.take()
    assert (found.value.wait, found.value.remedy) == (41.5, "wait 42s, or raise server.limits.runs_per_minute")
    clock.advance(41.5)
    throttle.take()
    with pytest.raises(TooOftenError):
        throttle.take()
