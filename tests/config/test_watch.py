from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from otelhealth.config.load import load
from otelhealth.config.sources import Sources
from otelhealth.config.watch import Watch

LOOK = 0.01


class Changes:
    """Counts what the watch notices, and lets a test wait for it."""

    def __init__(self) -> None:
        self.count = 0
        self._condition = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._condition:
            self.count += 1
            self._condition.notify_all()

    async def reaches(self, count: int) -> None:
        async with asyncio.timeout(20), self._condition:
            await self._condition.wait_for(lambda: self.count >= count)


@asynccontextmanager
async def watching(sources: Sources) -> AsyncIterator[tuple[Watch, Changes]]:
    changes = Changes()
    watch = Watch(sources, changes, every=LOOK)
    task = asyncio.create_task(watch.run())
    try:
        yield watch, changes
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def read(path: Path) -> Sources:
    sources = Sources()
    load(path, {}, sources)
    return sources


def files(folder: Path) -> Path:
    (folder / "parts").mkdir()
    (folder / "parts" / "a.yaml").write_text("service: {name: '${file:../name}'}\n")
    (folder / "name").write_text("shop\n")
    (folder / "shop.yaml").write_text("include: parts/*.yaml\nchecks: {}\n")
    return folder / "shop.yaml"


async def test_a_change_of_any_file_is_noticed_once(tmp_path: Path) -> None:
    path = files(tmp_path)
    steps: list[Callable[[], object]] = [
        lambda: path.write_text("checks: {}\ninclude: parts/*.yaml\n# changed\n"),
        lambda: (tmp_path / "name").write_text("store\n"),
        (tmp_path / "parts" / "a.yaml").unlink,
        lambda: (tmp_path / "parts" / "b.yaml").write_text("service: {version: '1'}\n"),
    ]
    async with watching(read(path)) as (watch, changes):
        for number, step in enumerate(steps, 1):
            step()
            await changes.reaches(number)
            assert changes.count == number
            watch.follow(read(path))


async def test_a_configmap_that_is_swapped_by_its_symlink_is_noticed(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "shop.yaml").write_text("checks: {}\n")
        os.utime(tmp_path / name / "shop.yaml", ns=(1, 1))
    (tmp_path / "..data").symlink_to("first")
    (tmp_path / "shop.yaml").symlink_to("..data/shop.yaml")
    async with watching(read(tmp_path / "shop.yaml")) as (_, changes):
        (tmp_path / "..new").symlink_to("second")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await changes.reaches(1)


async def test_a_change_while_the_file_was_being_read_is_not_lost(tmp_path: Path) -> None:
    path = files(tmp_path)
    sources = read(path)
    path.write_text("checks: {}\n")
    async with watching(sources) as (_, changes):
        await changes.reaches(1)


async def test_a_file_that_was_missing_is_noticed_when_it_comes(tmp_path: Path) -> None:
    sources = Sources()
    sources.opens(tmp_path / "lost.yaml")
    async with watching(sources) as (_, changes):
        (tmp_path / "lost.yaml").write_text("checks: {}\n")
        await changes.reaches(1)


async def test_a_file_that_is_still_being_written_is_waited_for(tmp_path: Path) -> None:
    path = files(tmp_path)
    async with watching(read(path)) as (_, changes):
        async with asyncio.timeout(20):
            for number in range(30):
                path.write_text("checks: {}\n" + "# more\n" * number)
                await asyncio.sleep(LOOK / 2)
        await changes.reaches(1)
        assert changes.count < 30


async def test_nothing_is_noticed_where_nothing_changed(tmp_path: Path) -> None:
    path = files(tmp_path)
    sources = read(path)
    async with watching(sources) as (watch, changes):
        (tmp_path / "unrelated").write_text("x")
        os.utime(tmp_path / "name")  # a touch counts: its content may have changed within the clock's grain
        await changes.reaches(1)
        watch.follow(read(path))
        (tmp_path / "name").write_text("store")
        await changes.reaches(2)
        assert changes.count == 2
