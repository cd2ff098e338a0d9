"""Lines reach stderr or a file in their order; a reader that stalls and a disk that is full hold up nobody."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from otelhealth.logs import TextFormatter
from otelhealth.logs.output import LineHandler, LogFile, Writer, to_descriptor
from tests.logs.records import record
from tests.waiting import eventually


def lost(lines: int) -> str:
    return f"{lines} lost\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_lines_are_written_in_their_order_by_a_thread_of_the_writers_own() -> None:
    seen: list[str] = []
    threads: set[threading.Thread] = set()

    def target(line: str) -> None:
        threads.add(threading.current_thread())
        seen.append(line)

    writer = Writer(target, lost)
    for number in range(1000):
        writer.put(f"{number}\n")
    assert writer.close(5.0)
    assert seen == [f"{number}\n" for number in range(1000)]
    assert threading.current_thread() not in threads


def test_without_lines_there_is_no_thread() -> None:
    before = threading.active_count()
    writer = Writer(lambda _: None, lost)
    assert threading.active_count() == before
    assert writer.close(1.0)


def test_a_reader_that_stalls_holds_up_nobody_and_what_is_lost_is_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = Writer(to_descriptor(writing), lost)
    line = "x" * 9_999 + "\n"
    begun = time.monotonic()
    for _ in range(2000):  # 20 MB into a pipe that nobody reads
        writer.put(line)
    assert time.monotonic() - begun < 5
    assert not writer.close(0.1)
    received = read_all(reading, until=b"lost\n")
    kept = received.count(line.encode())
    assert 400 <= kept <= 430  # 4 MiB wait, and what the pipe holds
    assert received.endswith(f"{2000 - kept} lost\n".encode())


def read_all(reading: int, until: bytes) -> bytes:
    received = b""
    while not received.endswith(until):
        received += os.read(reading, 65_536)
    return received


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    writer = Writer(to_descriptor(writing), lost)
    writer.put("x" * 500_000 + "!\n")
    assert len(read_all(reading, until=b"!\n")) == 500_002
    assert writer.close(5.0)


def test_a_target_that_fails_for_a_while_loses_those_lines_and_says_so() -> None:
    seen: list[str] = []
    refused: list[str] = []
    broken = threading.Event()

    def target(line: str) -> None:
        if broken.is_set():
            refused.append(line)
            raise OSError(28, "no space left on device")
        seen.append(line)

    writer = Writer(target, lost)
    writer.put("one\n")
    eventually(lambda: seen)
    broken.set()
    writer.put("two\n")
    writer.put("three\n")
    eventually(lambda: len(refused) >= 2)
    broken.clear()
    writer.put("four\n")
    assert writer.close(5.0)
    assert [line for line in seen if "lost" not in line] == ["one\n", "four\n"]
    assert [line for line in seen if "lost" in line] == ["2 lost\n"]


def test_after_its_close_a_writer_still_writes_last_words() -> None:
    seen: list[str] = []
    writer = Writer(seen.append, lost)
    writer.put("one\n")
    assert writer.close(5.0)
    writer.put("two\n")
    assert seen == ["one\n", "two\n"]


def written(path: Path, *lines: str, size: int = 10_000, keep: int = 1) -> None:
    with closing(LogFile(str(path), size, keep)) as file:
        for line in lines:
            file.write(line)


def test_a_file_is_for_its_owner_and_bounded_in_size_and_number(tmp_path: Path) -> None:
    file = tmp_path / "made" / "agent.log"
    written(file, *(f"{number:09}\n" for number in range(1000)), size=1000, keep=3)
    files = sorted(file.parent.iterdir())
    assert [each.name for each in files] == ["agent.log", "agent.log.1", "agent.log.2", "agent.log.3"]
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in files)
    assert all(each.stat().st_size <= 1000 for each in files)
    text = "".join(each.read_text() for each in [*files[:0:-1], files[0]])
    numbers = [int(line) for line in text.splitlines()]
    assert numbers == list(range(1000 - len(numbers), 1000))


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    file = tmp_path / "agent.log"
    written(file, "one\n")
    written(file, "two\n")
    assert file.read_text() == "one\ntwo\n"


@pytest.mark.parametrize("away", ["renamed", "removed"])
def test_a_file_that_was_moved_away_is_made_anew(tmp_path: Path, away: str) -> None:
    path = tmp_path / "agent.log"
    with closing(LogFile(str(path), 10_000, 1)) as file:
        file.write("one\n")
        path.rename(tmp_path / "agent.log-1") if away == "renamed" else path.unlink()
        file.write("two\n")
    assert path.read_text() == "two\n"


def test_a_file_whose_directory_goes_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "agent.log"
    with closing(LogFile(str(path), 10_000, 1)) as file:
        file.write("one\n")
        path.unlink()
        path.parent.rmdir()
        with pytest.raises(OSError, match="No such file"):
            file.write("two\n")
        path.parent.mkdir()
        file.write("three\n")
    assert path.read_text() == "three\n"


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        LogFile(str(tmp_path / "taken" / "agent.log"), 10_000, 1)


def test_a_record_that_cannot_be_told_is_named() -> None:
    seen: list[str] = []
    writer = Writer(seen.append, lost)
    handler = LineHandler(writer, TextFormatter())
    handler.handle(record("%d things", "many"))
    handler.handle(record("good"))
    assert writer.close(5.0)
    assert seen[0].endswith("ERROR   otelhealth.logs: a record of shop.cart at /shop/cart.py:7 cannot be told\n")
    assert seen[1].endswith("shop.cart: good\n")


def test_a_record_is_formatted_where_it_was_made() -> None:
    seen: list[str] = []
    writer = Writer(seen.append, lost)
    handler = LineHandler(writer, logging.Formatter("%(thread)d %(message)s"))
    things = ["a"]
    handler.handle(record("%s", things))
    things.append("b")
    assert writer.close(5.0)
    assert seen == [f"{threading.get_ident()} ['a']\n"]
