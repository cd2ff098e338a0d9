"""A process of this machine, by pid, pidfile or name: that it runs, what it uses, and how often it was restarted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

import psutil
from pydantic import Field, model_validator

from otelhealth.checks.base import Category, Check, Context, Quantity, passed
from otelhealth.checks.processes import Seen, look_at
from otelhealth.errors import ProbeError
from otelhealth.model import CheckResult, Measurement
from otelhealth.units import LocalPath, duration_text, size_text

_MODE = "cpu.mode"
_MOMENT = 0.1  # seconds over which the first run looks at the CPU


@dataclass(slots=True)
class Past:
    """What a check keeps between its runs."""

    at: float  # monotonic seconds
    cpu: Mapping[psutil.Process, tuple[float, float]]
    first: psutil.Process
    user: float = 0.0  # seconds so far, of processes that have ended too
    system: float = 0.0
    restarts: int = 0


class ProcessCheck(Check):
    """With `name`, several processes count as one: their sums, the age of the oldest, restarts of the oldest."""

    summary: ClassVar[str] = "a process by pid, pidfile or name: CPU, memory, threads, open files, age, restarts"
    in_process: ClassVar[bool] = True
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("count", "{process}", "updowncounter", "Processes found.", "otelhealth.process.count"),
        Quantity(
            "cpu",
            "1",
            "gauge",
            "CPU time since the last run over time elapsed and all cores of the machine.",
            "process.cpu.utilization",
        ),
        Quantity("cpu.time", "s", "counter", "CPU time by mode.", "process.cpu.time", (_MODE,)),
        Quantity("rss", "By", "updowncounter", "Physical memory in use.", "process.memory.usage"),
        Quantity("threads", "{thread}", "updowncounter", "Threads.", "process.thread.count"),
        Quantity(
            "fds",
            "{file_descriptor}",
            "updowncounter",
            "Open file descriptors, where this user may look.",
            "process.unix.file_descriptor.count",
        ),
        Quantity("age", "s", "gauge", "Since the (oldest) process was started.", "process.uptime"),
        Quantity(
            "restarts",
            "{restart}",
            "counter",
            "Times that another process was found in its place.",
            "otelhealth.process.restarts",
        ),
    )

    kind: Literal["process"] = "process"
    category: Category = Field("system", description="What it speaks of.")
    pid: int | None = Field(None, ge=1, description="The process with this id.")
    pidfile: LocalPath | None = Field(None, description="The process whose id this file holds.")
    process: str | None = Field(
        None, min_length=1, description="All processes of this name (as `ps -o comm` shows it); looks at each process."
    )

    @model_validator(mode="after")
    def _one_way_to_find_it(self) -> Self:
        if sum(way is not None for way in (self.pid, self.pidfile, self.process)) != 1:
            raise ValueError("which process? give exactly one of `pid`, `pidfile`, `process`")
        return self

    async def probe(self, ctx: Context) -> CheckResult:
        seen = await self._look(ctx)
        past = ctx.memory.get("past")
        if not isinstance(past, Past):
            past = Past(ctx.clock.monotonic(), _cpu_of(seen), _oldest(seen).process)
            past.user, past.system = sum(each.user for each in seen), sum(each.system for each in seen)
            ctx.memory["past"] = past
            await asyncio.sleep(min(_MOMENT, ctx.remaining() / 2))
            seen = await self._look(ctx)
        busy = _go_on(past, seen, ctx.clock.monotonic())
        age = max(0.0, ctx.clock.time() - _oldest(seen).created)
        fds = [each.fds for each in seen if each.fds is not None]
        rss, threads = sum(each.rss for each in seen), sum(each.threads for each in seen)
        measurements = [
            Measurement("count", len(seen), "{process}"),
            Measurement("cpu", busy, "1"),
            Measurement("cpu.time", past.user, "s", ((_MODE, "user"),)),
            Measurement("cpu.time", past.system, "s", ((_MODE, "system"),)),
            Measurement("rss", rss, "By"),
            Measurement("threads", threads, "{thread}"),
            Measurement("age", age, "s"),
            Measurement("restarts", past.restarts, "{restart}"),
        ]
        if fds:
            measurements.append(Measurement("fds", sum(fds), "{file_descriptor}"))
        several = f"{len(seen)} processes, the oldest" if len(seen) > 1 else "running"
        sentence = f"{several} for {duration_text(age)}, CPU {busy:.0%}, {size_text(rss)}, {threads} threads"
        return passed(sentence, *measurements)

    async def _look(self, ctx: Context) -> list[Seen]:
        """Raises ProbeError where nothing runs."""
        if self.process is not None:
            name = self.process
            found = await ctx.in_thread(lambda: _named(name))
            missing = f"no process is called {name}"
        else:
            pid = self.pid if self.pid is not None else _pid_in(Path(self.pidfile or ""))
            found = [seen for seen in (look_at(pid),) if seen]
            missing = f"no process {pid} runs" + (f", which {self.pidfile} names" if self.pidfile else "")
        if not found:
            raise ProbeError("process_not_found", missing)
        return found


def _pid_in(file: Path) -> int:
    try:
        text = file.read_text(errors="replace").strip()
    except OSError as error:
        raise ProbeError("process_not_found", f"{file} cannot be read: {error.strerror}") from error
    if not text.isdigit() or not 0 < int(text) < 2**31:
        raise ProbeError("process_not_found", f"{file} holds no process id")
    return int(text)


def _named(name: str) -> list[Seen]:
    pids = [process.pid for process in psutil.process_iter(["name"]) if process.info["name"] == name]
    return [seen for pid in pids if (seen := look_at(pid))]


def _cpu_of(seen: Iterable[Seen]) -> dict[psutil.Process, tuple[float, float]]:
    return {each.process: (each.user, each.system) for each in seen}


def _oldest(seen: Iterable[Seen]) -> Seen:
    return min(seen, key=lambda each: each.created)


def _go_on(past: Past, seen: list[Seen], now: float) -> float:
    """Carry what is kept on to `now`; the share 0..1 of all cores used in between."""
    used = 0.0
    for each in seen:
        user, system = past.cpu.get(each.process, (0.0, 0.0))
        past.user += max(0.0, each.user - user)
        past.system += max(0.0, each.system - system)
        used += max(0.0, each.user - user) + max(0.0, each.system - system)
    elapsed, past.at, past.cpu = now - past.at, now, _cpu_of(seen)
    if (first := _oldest(seen).process) != past.first:
        past.restarts += 1
        past.first = first
    return min(1.0, used / elapsed / (psutil.cpu_count() or 1)) if elapsed > 0 else 0.0
