"""How everything here is measured: processes of their own, their CPU by their own clocks, medians of pairs."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the closing table."""

    work: str
    at_most: str
    aim: str
    measured: str
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several repetitions, with the least and the greatest."""

    values: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def text(self, form: str = ".2f", factor: float = 1.0) -> str:
        low, middle, high = (format(factor * one, form) for one in (min(self.values), self.median, max(self.values)))
        return f"{middle} ({low}..{high})"

    def over(self, other: Spread) -> Spread:
        """The ratios of the pairs."""
        return Spread([mine / theirs for mine, theirs in zip(self.values, other.values, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0..1) of all are not above."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered) - 1e-9)) - 1]


def cpu_seconds(pid: int) -> float:
    """What a process has used so far with all its threads, to the microsecond: the kernel's clock of that process."""
    return time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) makes it


def memory(pid: int) -> float:
    """PSS in bytes: what a process has alone, and its share of what it has with others."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024.0
    raise RuntimeError(f"no PSS of process {pid}")


def cpu_of(pid: int, seconds: float) -> float:
    """Seconds of CPU that a process uses within the next `seconds`."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    return cpu_seconds(pid) - before


class Child:
    """`python -m MODULE ARGUMENTS`, which says one line of JSON when it is ready, and one more for each it is sent."""

    def __init__(self, *words: str, cpu: int | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._name = " ".join(words)
        self._log = TemporaryFile("w+")  # noqa: SIM115 - closed with the child
        self.begun = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(environment or {})},  # as installed: compiled once
        )
        if cpu is not None:
            os.sched_setaffinity(self.pid, {cpu})

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._log.seek(0)
            raise RuntimeError(f"{self._name} ended early:\n{self._log.read()[-2000:]}")
        return line

    def said(self) -> Any:
        """Its next line."""
        return json.loads(self.line())

    def ask(self, question: object = None) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self.said()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=30)
        self._log.close()


def say(line: str) -> None:
    """Progress."""
    print(f"  {line}", flush=True)


def two_cores() -> tuple[int, int]:
    """One for what is measured, another for its peers, where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
