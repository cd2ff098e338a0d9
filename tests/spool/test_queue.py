"""The queue in its file: bounds, ages, splits, damage, and who owns which file."""

from __future__ import annotations

import gc
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from otelhealth.clock import SYSTEM, Clock, ManualClock
from otelhealth.spool import Letter, SignalName, SpoolSettings
from otelhealth.spool.place import Place
from otelhealth.spool.queue import Queue
from otelhealth.spool.settings import SIGNALS
from otelhealth.spool.shelf import Shelf
from otelhealth.telemetry.content import OtlpContent
from tests.disk import full

MIB = 2**20
HOUR = 3600.0


class Opened:
    """Queues on files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[Queue] = []

    def __call__(self, place: Place | None = None, clock: Clock = SYSTEM, **told: object) -> Queue:
        settings = SpoolSettings.model_validate(told)
        place = place or Place.beside(self.folder, "agent", 0, "shop")
        queue = Queue(lambda: Shelf(place, settings.max_size, clock), settings, OtlpContent())
        self.made.append(queue)
        return queue


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    found = Opened(tmp_path)
    yield found
    for queue in found.made:
        queue.close()


def letter(body: bytes = b"x", signal: SignalName = "traces", *, received: bool = False) -> Letter:
    return Letter(signal, body, items=1, received=received)


def drained(queue: Queue, signal: SignalName = "traces") -> list[bytes]:
    """All of a signal, taken and settled."""
    found = []
    while (taken := queue.take(signal)) is not None:
        found.append(taken.body)
        queue.settle(taken)
    return found


def test_what_waits_is_there_after_a_crash(opened: Opened, tmp_path: Path) -> None:
    queue = opened()
    for number in range(3):
        queue.put(letter(f"{number}".encode(), received=number == 1))
    copies = [tmp_path / f"copy.db{part}" for part in ("", "-wal")]
    for copy in copies:  # what a killed process leaves
        copy.write_bytes((tmp_path / copy.name.replace("copy", "spool-agent-0")).read_bytes())
    again = opened(Place.of(copies[0], "shop"))
    assert drained(again) == [b"0", b"1", b"2"]


def test_beyond_the_size_the_oldest_go_whatever_their_signal_and_that_is_said_once(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    queue = opened(max_size="1MiB")
    queue.put(letter(b"first", "logs"))
    for number in range(20):
        queue.put(letter(bytes([number]) * 100_000))
    assert drained(queue, "logs") == []
    assert [body[0] for body in drained(queue)] == list(range(10, 20))
    assert queue.tallies["traces"].dropped == {"size": 10}
    assert queue.tallies["logs"].dropped == {"size": 1}
    assert caplog.messages == [
        "the spool is full (1MiB), the oldest is dropped; raise telemetry.otlp.spool.max_size",
    ]


def test_one_that_is_larger_than_all_the_room_is_dropped_itself(opened: Opened) -> None:
    queue = opened(max_size="1MiB")
    queue.put(letter(b"before"))
    queue.put(letter(bytes(2 * MIB)))
    assert queue.tallies["traces"].dropped == {"size": 1}
    assert drained(queue) == [b"before"]


def test_one_that_fits_beside_nothing_received_costs_none_of_the_others(opened: Opened) -> None:
    queue = opened(max_size="1MiB")
    assert queue.put_received([letter(bytes(MIB // 2), received=True)]) == [True]
    queue.put(letter(b"before", "logs"))
    queue.put(letter(bytes(3 * MIB // 4)))
    assert queue.tallies["traces"].dropped == {"size": 1}
    assert drained(queue, "logs") == [b"before"]


def test_what_is_being_sent_is_not_dropped_for_want_of_room(opened: Opened) -> None:
    queue = opened(max_size="1MiB")
    queue.put(letter(b"a" * 500_000))
    taken = queue.take("traces")
    assert taken is not None
    queue.put(letter(b"b" * 500_000))
    queue.put(letter(b"c" * 500_000))
    queue.settle(taken)
    assert drained(queue) == [b"c" * 500_000]


def test_what_was_received_is_never_dropped_but_refused_and_leaves_a_quarter_to_the_agent(opened: Opened) -> None:
    queue = opened(max_size="1MiB")
    for fits in (*[True] * 7, False):
        assert queue.put_received([letter(bytes(100_000), received=True)]) == [fits]
    for _ in range(5):
        queue.put(letter(bytes(100_000), "metrics"))
    assert len(drained(queue)) == 7
    assert len(drained(queue, "metrics")) == 3


def test_the_agents_own_gives_way_to_what_is_received(opened: Opened) -> None:
    queue = opened(max_size="1MiB")
    for _ in range(10):
        queue.put(letter(bytes(100_000), "metrics"))
    for _ in range(7):
        queue.put_received([letter(bytes(100_000), received=True)])
    assert len(drained(queue, "metrics")) == 3
    assert queue.tallies["metrics"].dropped == {"size": 7}


def test_what_is_received_together_is_kept_together_as_much_as_has_room(opened: Opened) -> None:
    queue = opened(max_size="1MiB")
    queue.put(letter(b"own"))
    sizes = {b"a": 300_000, b"b": 500_000, b"c": 400_000, b"d": 1_000}
    together = [letter(body * size, received=True) for body, size in sizes.items()]
    assert queue.put_received(together) == [True, False, True, True]
    assert [body[:1] for body in drained(queue)] == [b"o", b"a", b"c", b"d"]
    assert queue.put_received(together[1:2]) == [True]


def test_what_is_too_old_goes_also_what_was_received(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    queue = opened(clock=clock, max_age="1h")
    queue.put(letter(b"1"))
    queue.put_received([letter(b"2", received=True)])
    clock.advance(HOUR / 2)
    queue.put(letter(b"3"))
    clock.advance(HOUR / 2 + 1)
    assert drained(queue) == [b"3"]
    assert queue.tallies["traces"].dropped == {"age": 2}
    assert queue.tallies["traces"].lost == {"age": 1}
    assert caplog.messages == ["what waits longer than 1h is dropped; raise telemetry.otlp.spool.max_age"]


@pytest.mark.parametrize("jump", [-30 * 24 * HOUR, 30 * 24 * HOUR], ids=["back", "forward"])
def test_a_wall_clock_that_jumps_makes_nothing_older_or_younger_not_even_over_a_restart(
    opened: Opened, jump: float
) -> None:
    clock = ManualClock()
    queue = opened(clock=clock, max_age="1h")
    queue.put(letter(b"1"))
    clock.jump(jump)
    queue.put(letter(b"2"))
    queue.close()
    again = opened(clock=clock, max_age="1h")
    first = again.take("traces")
    assert first is not None
    assert first.body == b"1"
    again.release(first)
    clock.advance(HOUR + 1)
    assert drained(again) == []
    assert again.tallies["traces"].dropped == {"age": 2}


@pytest.mark.parametrize("jump", [-1000 * HOUR, 1000 * HOUR], ids=["back", "forward"])
def test_a_clock_that_jumps_while_nothing_runs_makes_nothing_older_or_younger_either(
    opened: Opened, jump: float
) -> None:
    clock = ManualClock()
    queue = opened(clock=clock, max_age="1h")
    queue.put(letter())
    queue.close()
    clock.jump(jump)
    again = opened(clock=clock, max_age="1h")
    taken = again.take("traces")
    assert taken is not None
    again.release(taken)
    clock.advance(HOUR + 1)
    assert drained(again) == []


@pytest.mark.parametrize(("passed", "left"), [(-1000.0, [b"x"]), (0.5, [b"x"]), (1.5, [])])
def test_over_a_reboot_the_wall_clock_tells_the_age(
    opened: Opened, tmp_path: Path, passed: float, left: list[bytes]
) -> None:
    clock = ManualClock()
    queue = opened(clock=clock, max_age="1h")
    clock.jump(24 * HOUR)
    queue.put(letter())
    queue.close()
    kept = sqlite3.connect(tmp_path / "spool-agent-0.db")
    with kept:
        kept.execute("UPDATE about SET value = 'another ' || substr(value, 38) WHERE key = 'anchor'")
    kept.close()
    booted = ManualClock(clock.time() + passed * HOUR)
    assert drained(opened(clock=booted, max_age="1h")) == left


def test_halves_stand_in_the_place_of_the_whole_also_when_halved_again(opened: Opened) -> None:
    queue = opened()
    for name in ("a", "bcde", "f"):
        queue.put(letter(name.encode()))
    found = []
    while (taken := queue.take("traces")) is not None:
        middle = len(taken.body) // 2
        if middle:
            assert queue.split(taken, (letter(taken.body[:middle]), letter(taken.body[middle:])))
        else:
            found.append(taken.body)
            queue.settle(taken)
    assert found == [b"a", b"b", b"c", b"d", b"e", b"f"]


def test_a_request_that_is_split_without_end_comes_to_an_end(opened: Opened) -> None:
    queue = opened()
    queue.put(letter())
    for _ in range(20):
        taken = queue.take("traces")
        assert taken is not None
        assert queue.split(taken, (letter(), letter()))
    taken = queue.take("traces")
    assert taken is not None
    assert not queue.split(taken, (letter(), letter()))
    assert len(drained(queue)) == 21


def test_a_file_that_has_grown_gives_its_room_back_once_it_is_empty(opened: Opened, tmp_path: Path) -> None:
    queue = opened()
    for _ in range(100):
        queue.put(letter(bytes(100_000)))
    drained(queue)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 300_000


def test_two_processes_have_two_files_and_the_first_to_start_again_adopts_the_other(
    opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = opened(), opened()
    first.put(letter(b"1"))
    second.put_received([letter(b"2", received=True)])
    assert {file.name for file in tmp_path.glob("*.db")} == {"spool-agent-0.db", "spool-agent-1.db"}
    first.close()
    second.close()
    again = opened()
    assert drained(again) == [b"1", b"2"]
    assert {file.name for file in tmp_path.glob("*.db*")} >= {"spool-agent-0.db"}
    assert not list(tmp_path.glob("spool-agent-1*"))
    assert "1 requests that a dead process left are sent first" in caplog.text


@pytest.mark.parametrize(("more", "expected"), [([], [b"1"]), ([b"2"], [b"1", b"1", b"2"])], ids=["left", "used again"])
def test_a_process_that_dies_before_it_removes_what_it_took_over_makes_it_double_only_where_another_used_it_since(
    opened: Opened, tmp_path: Path, more: list[bytes], expected: list[bytes]
) -> None:
    def use(slot: int, *bodies: bytes) -> None:
        queue = opened(Place.beside(tmp_path, "agent", slot, "shop"))
        queue.path()
        for body in bodies:
            queue.put(letter(body))
        queue.close()

    use(1, b"1")
    file = tmp_path / "spool-agent-1.db"
    left = file.read_bytes()
    use(0)
    file.write_bytes(left)
    for body in more:
        use(1, body)
    assert drained(opened()) == expected
    assert not file.exists()


def test_a_file_that_another_process_uses_or_another_service_left_is_not_adopted(
    opened: Opened, tmp_path: Path
) -> None:
    used, left = opened(), opened(Place.beside(tmp_path, "agent", 1, "bakery"))
    used.put(letter(b"used"))
    left.put(letter(b"left"))
    left.close()
    strange = sqlite3.connect(tmp_path / "spool-other-7.db")
    strange.execute("CREATE TABLE letters (body TEXT)")
    strange.close()
    third = opened(Place.beside(tmp_path, "agent", 2, "shop"))
    assert drained(third) == []
    assert drained(used) == [b"used"]
    assert drained(opened(Place.beside(tmp_path, "agent", 1, "bakery"))) == [b"left"]
    assert (tmp_path / "spool-other-7.db").exists()


def test_the_file_that_a_user_names_is_used_and_the_next_one_gets_a_number(opened: Opened, tmp_path: Path) -> None:
    for _ in range(2):
        opened(Place.of(tmp_path / "deep" / "mine.sqlite", "shop")).put(letter())
    assert {file.name for file in (tmp_path / "deep").glob("*.sqlite")} == {"mine.sqlite", "mine-1.sqlite"}


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""], ids=["overwritten", "emptied"])
def test_a_damaged_file_is_set_aside_at_the_start_and_said(
    opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    queue = opened()
    queue.put(letter(b"lost"))
    queue.close()
    (tmp_path / "spool-agent-0.db").write_bytes(damage)
    again = opened()
    again.put(letter(b"kept"))
    assert drained(again) == [b"kept"]
    if damage:
        [aside] = tmp_path.glob("spool-agent-0.db.damaged-*")
        assert aside.read_bytes() == damage
        assert f"is damaged (file is not a database); it is now {aside}, a new one starts" in caplog.text


def test_a_file_that_is_damaged_while_it_is_used_is_set_aside_and_nothing_new_is_lost(
    opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = opened()
    queue.put(letter(bytes(200_000)))
    drained(queue)
    for number in range(50):
        queue.put(letter(bytes([number]) * 100_000))
    file = tmp_path / "spool-agent-0.db"
    file.write_bytes(b"\xff" * file.stat().st_size)
    drained(queue)
    queue.put(letter(b"new"))
    assert drained(queue) == [b"new"]
    assert list(tmp_path.glob("spool-agent-0.db.damaged-*"))
    assert "is damaged (database disk image is malformed); it is now " in caplog.text
    assert "requests that waited in the damaged spool and are lost: 50" in caplog.text


def lose_all(file: Path) -> None:
    shutil.rmtree(file.parent)


def lose_file(file: Path) -> None:
    """And leave its -wal, which would be taken for another's."""
    file.unlink()


def replace(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"no database")
    other.rename(file)


@pytest.mark.parametrize("lose", [lose_all, lose_file, replace])
def test_what_waits_in_a_file_that_is_deleted_or_replaced_goes_on_in_another(
    opened: Opened, tmp_path: Path, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    place = Place.beside(tmp_path / "spools", "agent", 0, "shop")
    queue = opened(place)
    for number in range(5):
        queue.put(letter(b"%d" % number))
    first = queue.take("traces")
    assert first is not None
    lose(tmp_path / "spools" / "spool-agent-0.db")
    queue.put(letter(b"new"))
    assert queue.place() == (str(tmp_path / "spools" / "spool-agent-0.db"), "")
    assert "its file was deleted or replaced while it was used" in caplog.text
    queue.settle(first)
    queue.close()
    assert drained(opened(place)) == [b"1", b"2", b"3", b"4", b"new"]


def test_a_file_that_is_lost_before_the_end_is_made_again_then(opened: Opened, tmp_path: Path) -> None:
    queue = opened()
    queue.put(letter(b"kept"))
    lose_file(tmp_path / "spool-agent-0.db")
    queue.close()
    assert drained(opened()) == [b"kept"]


def opened_in(folder: Path) -> list[str]:
    """The files of it that this process has open."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of this very look
            found.append(descriptor.readlink())
    return sorted(file.name for file in found if file.parent == folder)


@pytest.mark.parametrize("room", [0, 4_096, 36_864, 40_960, 45_056])
def test_a_disk_that_is_full_at_the_start_is_used_once_it_has_room(opened: Opened, tmp_path: Path, room: int) -> None:
    clock = ManualClock()
    queue = opened(clock=clock)
    gc.disable()  # what it would close was left open
    try:
        with full(room):
            queue.put(letter(b"0"))
            file, problem = queue.place()
            assert file or (problem and not opened_in(tmp_path))
    finally:
        gc.enable()
    clock.advance(10)
    queue.put(letter(b"1"))
    assert queue.place() == (str(tmp_path / "spool-agent-0.db"), "")
    assert drained(queue) == [b"0", b"1"]


def test_a_clock_that_is_wrong_by_centuries_costs_nothing(opened: Opened, tmp_path: Path) -> None:
    clock = ManualClock(time=10_000_000_000)
    (tmp_path / "spool-agent-0.db").mkdir()  # no file can be had: numbers begin with the time
    queue = opened(clock=clock)
    queue.put(letter(b"0"))
    (tmp_path / "spool-agent-0.db").rmdir()
    clock.advance(10)
    queue.put(letter(b"1"))
    assert queue.place() == (str(tmp_path / "spool-agent-0.db"), "")
    assert drained(queue) == [b"0", b"1"]


def test_a_file_of_a_newer_version_is_left_as_it_is_and_memory_is_used(
    opened: Opened, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer = sqlite3.connect(tmp_path / "spool-agent-0.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    queue = opened()
    queue.put(letter(b"1"))
    assert drained(queue) == [b"1"]
    assert queue.place() == ("", "it was written by a newer otelhealth (format 99)")
    assert "the spool cannot use its disk (it was written by a newer otelhealth (format 99))" in caplog.text


class Machine(RuleBasedStateMachine):
    """Against a list per signal, whatever is put, taken, given back, split, and reopened in between."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.open()
        self.expected: dict[SignalName, deque[bytes]] = {signal: deque() for signal in SIGNALS}
        self.taken: dict[SignalName, Letter] = {}

    def open(self) -> None:
        settings = SpoolSettings()
        place = Place.beside(Path(self.folder.name), "agent", 0, "shop")
        self.queue = Queue(lambda: Shelf(place, settings.max_size, SYSTEM), settings, OtlpContent())

    @rule(signal=st.sampled_from(SIGNALS), body=st.binary(min_size=1, max_size=8), received=st.booleans())
    def put(self, signal: SignalName, body: bytes, received: bool) -> None:
        self.queue.put(Letter(signal, body, items=1, received=received))
        self.expected[signal].append(body)

    @rule(signal=st.sampled_from(SIGNALS))
    def take(self, signal: SignalName) -> None:
        taken = self.queue.take(signal)
        assert (taken.body if taken else None) == (self.expected[signal][0] if self.expected[signal] else None)
        if taken:
            self.taken[signal] = taken

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        signal = data.draw(st.sampled_from(sorted(self.taken)))
        self.queue.settle(self.taken.pop(signal))
        self.expected[signal].popleft()

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def release_or_split(self, data: st.DataObject) -> None:
        signal = data.draw(st.sampled_from(sorted(self.taken)))
        taken = self.taken.pop(signal)
        middle = len(taken.body) // 2
        if not middle:
            self.queue.release(taken)
            return
        parts = taken.body[:middle], taken.body[middle:]
        first, second = (taken._replace(body=part) for part in parts)
        assert self.queue.split(taken, (first, second))
        self.expected[signal].popleft()
        self.expected[signal].extendleft(reversed(parts))

    @rule()
    def restart(self) -> None:
        self.queue.close()
        self.taken.clear()
        self.open()

    @invariant()
    def counts_what_waits(self) -> None:
        for signal, bodies in self.expected.items():
            self.queue.take(signal) if signal not in self.taken else None
            assert self.queue.used(signal)[0] == len(bodies)

    def teardown(self) -> None:
        for signal, bodies in self.expected.items():
            assert drained(self.queue, signal) == list(bodies)
        self.queue.close()
        self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = hypothesis_settings(max_examples=30, stateful_step_count=30, deadline=None)
