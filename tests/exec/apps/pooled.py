"""A program whose work is done by pools of processes, none of which it ends in an orderly way."""

from __future__ import annotations

import multiprocessing
import time

from opentelemetry import metrics, trace

JOBS = 3


def work(name: str) -> None:
    with trace.get_tracer("shop").start_as_current_span(name):
        metrics.get_meter("shop").create_counter("jobs").add(1)


if __name__ == "__main__":
    processes = multiprocessing.get_context("fork")
    with processes.Pool(2) as pool:
        pool.map(work, ["with"] * JOBS)
    with processes.Pool(1) as pool:
        pool.map_async(time.sleep, [600] * JOBS)
    kept = processes.Pool(1)  # the interpreter ends it
    kept.map(work, ["kept"] * JOBS)
