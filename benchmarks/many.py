"""10,000 checks every 30 s in one process on one core: how late they start, what they weigh."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.agents import AgentProcess, Checks, http_checks
from benchmarks.measure import Child, Row, memory, percentile, say, two_cores
from otelhealth.telemetry import names

EVERY = 30
Runs = Sequence[tuple[str, float, float]]  # check, when it began (Unix seconds), how late (seconds)


async def nothing() -> None:
    """The least a check can do."""


def python_checks(count: int) -> Checks:
    check = {"kind": "python", "call": f"{__name__}:nothing", "every": f"{EVERY}s"}
    return {f"python-{n}": check for n in range(count)}


def weight(checks: Checks, receiver: int, seconds: float) -> float:
    """PSS of an agent after `seconds`, in bytes."""
    with AgentProcess(checks, receiver, cpu=two_cores()[0]) as agent:
        time.sleep(seconds)
        return memory(agent.pid)


def exporting(times: Sequence[float]) -> list[tuple[float, float]]:
    """When exports of metrics were under way: several requests each, one after the other."""
    groups: list[list[float]] = []
    for at in times:
        if groups and at - groups[-1][-1] < 2.0:
            groups[-1].append(at)
        else:
            groups.append([at])
    # the first request of a group was being made for about as long as the others
    return [(g[0] - (g[-1] - g[0]) / max(1, len(g) - 1), g[-1]) for g in groups]


def missed(runs: Runs, count: int, rounds: int) -> int:
    """Starts that did not happen within `rounds` intervals; one at either edge is nobody's fault."""
    seen = Counter(name for name, _, _ in runs)
    return sum(max(0, rounds - had) for had in seen.values()) + rounds * (count - len(seen))


def run(quick: bool) -> Iterator[Row]:
    count, rounds, settling = (200, 0, 1.0) if quick else (10_000, 2, float(EVERY))
    own, others = two_cores()
    with (
        Child("benchmarks.peers", "answering", cpu=others) as target,
        Child("benchmarks.peers", "receiver", cpu=others) as receiver,
    ):
        port, otlp = target.said(), receiver.said()
        least = weight({}, otlp, 1.0 if quick else 12.0)
        noops = (weight(python_checks(count), otlp, settling / 2) - least) / count
        say(f"an agent without checks: {least / 2**20:.1f} MB; {noops / 1000:.1f} kB for each that does nothing")
        with AgentProcess(http_checks(count, port, f"{EVERY}s"), otlp, cpu=own) as agent:
            say(f"{count} http checks: {time.monotonic() - agent.begun:.1f} s to the first answer")
            time.sleep(settling)
            begin = time.time()
            time.sleep(EVERY * rounds + 2.0)
            each = (memory(agent.pid) - least) / count
            skipped = agent.figure(names.SKIPPED)
        runs: Runs = [
            told for told in receiver.ask("runs") if told[1] - told[2] >= begin and told[0].startswith("http")
        ]
        spans = exporting(receiver.ask("metrics"))
    lags = [late for _, _, late in runs]
    busy = [late for _, at, late in runs if any(since <= at <= until for since, until in spans)] or lags
    p99, p99_busy = percentile(lags, 0.99), percentile(busy, 0.99)
    say(f"{len(runs)} starts, {len(busy)} of them while metrics were exported, {skipped:g} skipped since the start")
    lost = missed(runs, count, rounds)
    yield Row(
        f"{count:,} http checks every {EVERY} s on one core, exporting: p99 start lag, also while an export runs",
        "250 ms, none missed",
        "100 ms",
        f"{1e3 * p99:.0f} ms, while exporting {1e3 * p99_busy:.0f} ms, at most {1e3 * max(lags):.0f} ms; {lost} missed",
        max(p99, p99_busy) > 0.25 or lost > 0,
    )
    yield Row(
        "memory of each of them, all included",
        "25 kB",
        "",
        f"{each / 1000:.1f} kB of PSS ({noops / 1000:.1f} kB for a python check that does nothing)",
        each > 25_000,
    )
