from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from otelhealth.model import Attributes
from otelhealth.telemetry.runtime import COLLECTIONS, GENERATIONS, collections, pauses


@pytest.fixture(autouse=True)
def no_collections_but_those_of_the_test() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_a_collection_tells_its_generation_and_its_pause_while_somebody_listens() -> None:
    told: list[tuple[Attributes, float]] = []
    with pauses(lambda generation, seconds: told.append((generation, seconds))):
        gc.collect(1)
        gc.collect(2)
    gc.collect(0)
    assert [generation for generation, _ in told] == list(GENERATIONS[1:])
    assert all(0 < seconds < 5 for _, seconds in told)


def test_a_collection_in_another_thread_is_told_too() -> None:
    told: list[Attributes] = []
    with pauses(lambda generation, _seconds: told.append(generation)):
        thread = threading.Thread(target=gc.collect)
        thread.start()
        thread.join()
    assert told == [GENERATIONS[2]]


def test_collections_are_counted_by_generation() -> None:
    def counted() -> dict[Attributes, float]:
        return {of: value for metric, of, value in collections() if metric is COLLECTIONS}

    before = counted()
    gc.collect(1)
    assert counted() == {**before, GENERATIONS[1]: before[GENERATIONS[1]] + 1}
