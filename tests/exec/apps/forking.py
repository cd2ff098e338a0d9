"""A program whose work is done by processes that it forks late."""

from __future__ import annotations

import multiprocessing
import sys

from opentelemetry import trace


def work(number: int) -> None:
    with trace.get_tracer("shop").start_as_current_span(f"work {number}"):
        pass


if __name__ == "__main__":
    sys.stdin.readline()  # until then the agent has begun
    with trace.get_tracer("shop").start_as_current_span("give out"):
        pass
    children = [multiprocessing.get_context("fork").Process(target=work, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    sys.exit(any(child.exitcode for child in children))
