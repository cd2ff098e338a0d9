"""What happens to a program in each row, against a scripted receiver; all of them run in one outage."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.figures import PER_SECOND, Figures, figures_of
from tests.faults.load import Order
from tests.faults.program import ExecProgram, Program
from tests.telemetry.receiver import Answer, Receiver

DAY = 86400.0
SPARE = 1000  # numbers left out after each process: one that is killed may have made more than it said
QUIET = 8.0  # s after the outage in which nothing starts: an end is measured on a machine that has time
SLOW = 50  # spans a second, where the amount does not matter
WAYS = ("spool", "plain")
Scenario = Callable[["Place"], Figures]
Asked = Mapping[str, tuple[str, str, str, Scenario]]  # by name: row, fault, exporter, what happens
Runs = Mapping[str, tuple["Place", Future[Figures]]]


class Place:
    """A receiver and a folder for one scenario, and what its processes have made."""

    def __init__(self, folder: Path, row: str, fault: str, way: str, outage: float) -> None:
        self.folder = folder
        self.outage = outage
        self.row, self.fault, self.way = row, fault, way
        self.receiver = Receiver()
        self.programs: list[Program] = []

    def program(self, rate: int = PER_SECOND, before: Callable[[], None] | None = None, **more: Any) -> Program:
        """Another process of the same name goes on with the numbers of the last."""
        last = self.programs[-1].made + SPARE if self.programs else 0
        told: dict[str, Any] = {"name": "load", "folder": str(self.folder), "rate": rate, "first": last} | more
        kind = ExecProgram if self.way == "exec" else Program
        program = kind(Order(way=self.way, endpoint=self.receiver.endpoint, **told), before).works()
        self.programs.append(program)
        return program

    def figures(self, ended: float = 0.0) -> Figures:
        """Of all that its processes have made."""
        numbers = [number for one in self.programs for number in range(one.order.first, one.made)]
        collections = sum(one.said["collections"] for one in self.programs)
        found = figures_of(self.programs[-1], self.receiver, numbers, collections)
        return found._replace(row=self.row, fault=self.fault, ended=ended, said=self.programs[-1].text())

    def healthy(self) -> None:
        """Some time in which all arrives."""
        time.sleep(2.0)

    def restart(self) -> None:
        """The receiver works again; another process runs a while and ends. The plain exporter left nothing for it."""
        time.sleep(QUIET)
        self.receiver.up()
        if self.way == "plain":
            return
        again = self.program(rate=self.programs[-1].order.rate)
        self.healthy()
        again.stop()


def ends_while_it(answer: Answer) -> Scenario:
    """SIGTERM while the receiver takes requests and answers so; then a restart."""

    def run(place: Place) -> Figures:
        program = place.program()
        place.healthy()
        place.receiver.answer = answer
        time.sleep(place.outage)
        ended = program.stop(within=QUIET)
        place.receiver.released.set()
        place.receiver.down()
        place.receiver.answer = Answer()
        place.restart()
        return place.figures(ended)

    return run


def killed(place: Place) -> Figures:
    """kill -9 at the end of an outage, then a restart."""
    program = place.program()
    place.healthy()
    place.receiver.down()
    time.sleep(place.outage)
    program.kill()
    place.restart()
    return place.figures()


def agent_killed(place: Place) -> Figures:
    """kill -9 of the agent beside a command in the middle of an outage, at whose end all ends; then a restart."""
    program = place.program(rate=SLOW)
    assert isinstance(program, ExecProgram)
    place.healthy()
    place.receiver.down()
    time.sleep(place.outage / 2)
    program.kill_agent()
    time.sleep(place.outage / 2)
    ended = program.stop()
    place.restart()
    return place.figures(ended)


def down(place: Place) -> Figures:
    """An outage, and nothing else."""
    program = place.program()
    place.healthy()
    place.receiver.down()
    time.sleep(place.outage)
    place.receiver.up()
    time.sleep(1.0)
    return place.figures(program.stop())


def disk_full(place: Place) -> Figures:
    """No file may grow for half an outage; at its end, with room again, the process is killed and restarted."""
    program = place.program(rate=SLOW)
    place.healthy()
    place.receiver.down()
    _, most = resource.prlimit(program.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (20_000, most))
    time.sleep(place.outage / 2)
    resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (most, most))
    time.sleep(place.outage / 2)
    program.kill()
    place.restart()
    return place.figures()


def read_only(place: Place) -> Figures:
    """The folder may not be written at the start and half an outage long; then as `disk_full`."""
    place.folder.mkdir(parents=True)
    (place.folder / "spool.db").touch(0o400)
    (place.folder / f"load-{place.way}.log").touch()
    place.folder.chmod(0o500)
    place.receiver.down()
    program = place.program(rate=SLOW, before=obey_permissions)
    time.sleep(place.outage / 2)
    place.folder.chmod(0o700)
    (place.folder / "spool.db").chmod(0o600)
    time.sleep(place.outage / 2)
    program.kill()
    place.restart()
    return place.figures()


def corrupted(place: Place) -> Figures:
    """The file is spoilt between two processes of one outage; what the second makes must arrive after a restart."""
    program = place.program(rate=SLOW)
    place.receiver.down()
    time.sleep(place.outage / 2)
    program.kill()
    for file in (place.folder / "spool.db", place.folder / "spool.db-wal"):
        if place.way == "spool":
            file.write_bytes(b"\xff" * file.stat().st_size)
    place.programs.clear()
    again = place.program(rate=SLOW, first=program.made + SPARE)
    time.sleep(place.outage / 2)
    ended = again.stop(within=QUIET)
    place.restart()
    return place.figures(ended)


def clock_jumps(by: float) -> Scenario:
    """The wall clock jumps beyond the greatest age of what waits, and once more."""

    def run(place: Place) -> Figures:
        program = place.program(rate=SLOW, jump=by)
        place.receiver.down()
        for _ in range(2):
            time.sleep(place.outage / 2)
            program.send(signal.SIGUSR1)
        program.kill()
        place.restart()
        return place.figures()

    return run


def forks(place: Place) -> Figures:
    """A child is forked in an outage, makes spans and ends; then the parent is restarted."""
    program = place.program(rate=SLOW, fork=True)
    place.receiver.down()
    time.sleep(place.outage / 2)
    program.send(signal.SIGUSR1)
    time.sleep(place.outage / 2)
    ended = program.stop(within=QUIET)
    place.restart()
    return place.figures(ended)


def two_agents(place: Place) -> Figures:
    """Two processes are told one file and are killed in an outage; the one that is restarted delivers for both."""
    second, first = place.program(rate=SLOW, first=1_000_000), place.program(rate=SLOW, first=0)
    place.receiver.down()
    time.sleep(place.outage)
    first.kill()
    second.kill()
    place.restart()
    return place.figures()


def obey_permissions() -> None:
    """In a child: without the right to write whatever the permissions say, which root has."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


@contextmanager
def at_once(asked: Asked, folders: pytest.TempPathFactory, outage: float) -> Iterator[Runs]:
    """All of them in one time: each mostly waits."""
    with ThreadPoolExecutor(len(asked)) as pool:
        found: dict[str, tuple[Place, Future[Figures]]] = {}
        for name, (row, fault, way, scenario) in asked.items():
            place = Place(folders.mktemp(name) / "spool", row, fault, way, outage)
            found[name] = place, pool.submit(scenario, place)
        yield found
    for place, _ in found.values():
        place.receiver.close()


HANGS, TRICKLES = ends_while_it(Answer(hang=True)), ends_while_it(Answer(trickle=1.0))


def below_exec() -> Asked:
    return {
        "hangs": ("R2", "hangs, SIGTERM", "exec", HANGS),
        "trickles": ("R2", "trickles 1 byte/s, SIGTERM", "exec", TRICKLES),
        "killed": ("R3", "down, kill -9 of its agent", "exec", agent_killed),
        "hangs-alone": ("R2", "hangs, SIGTERM", "plain", HANGS),
        "down-alone": ("R3", "down, and nothing else", "plain", down),
    }


def scenarios() -> Asked:
    """Each with both exporters."""
    rows = {
        "hangs": ("R2", "hangs, SIGTERM", HANGS),
        "trickles": ("R2", "trickles 1 byte/s, SIGTERM", TRICKLES),
        "killed": ("R3", "down, kill -9", killed),
        "disk-full": ("R5", "disk full", disk_full),
        "read-only": ("R5", "read-only file", read_only),
        "corrupted": ("R5", "corrupted file", corrupted),
        "clock-forward": ("R5", "clock jumps forward", clock_jumps(2 * DAY)),
        "clock-back": ("R5", "clock jumps back", clock_jumps(-2 * DAY)),
        "fork": ("R5", "fork after start", forks),
        "two-agents": ("R5", "two agents on one file", two_agents),
    }
    return {f"{name}-{way}": (row, fault, way, happens) for name, (row, fault, happens) in rows.items() for way in WAYS}
