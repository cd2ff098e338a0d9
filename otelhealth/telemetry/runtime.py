"""The Python runtime around the agent: garbage collections, their pauses, asyncio tasks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from otelhealth.model import Attributes
from otelhealth.telemetry.metric import Metric, declared

GC_GENERATION = "cpython.gc.generation"
GENERATIONS: tuple[Attributes, ...] = tuple(((GC_GENERATION, str(number)),) for number in range(3))

TASKS = Metric("otelhealth.runtime.tasks", "{task}", "updowncounter", "asyncio tasks of the agent's event loop.")
COLLECTIONS = Metric(
    "cpython.gc.collections",
    "{collection}",
    "counter",
    "Collections of a generation since the interpreter started.",
    (GC_GENERATION,),
)
COLLECTED = Metric(
    "cpython.gc.collected_objects", "{object}", "counter", "Objects collected in a generation.", (GC_GENERATION,)
)
UNCOLLECTABLE = Metric(
    "cpython.gc.uncollectable_objects",
    "{object}",
    "counter",
    "Objects of a generation found to be uncollectable.",
    (GC_GENERATION,),
)
GC_PAUSE = Metric(
    "otelhealth.runtime.gc.pause",
    "s",
    "histogram",
    "How long a collection held up the program.",
    (GC_GENERATION,),
    "each collection",
)
METRICS = declared(globals())


def collections() -> Iterator[tuple[Metric, Attributes, float]]:
    """What the collector did since the interpreter started."""
    for attributes, told in zip(GENERATIONS, gc.get_stats(), strict=False):
        yield COLLECTIONS, attributes, told["collections"]
        yield COLLECTED, attributes, told["collected"]
        yield UNCOLLECTABLE, attributes, told["uncollectable"]


@contextmanager
def pauses(tell: Callable[[Attributes, float], None]) -> Iterator[None]:
    """Tell each collection's generation and seconds, in whichever thread it happens; one goes at a time."""
    begun = 0.0

    def collecting(phase: str, about: dict[str, Any]) -> None:
        nonlocal begun
        if phase == "start":
            begun = time.perf_counter()
        elif begun:  # the first word may be of an end
            tell(GENERATIONS[min(about["generation"], 2)], time.perf_counter() - begun)

    gc.callbacks.append(collecting)
    try:
        yield
    finally:
        gc.callbacks.remove(collecting)
