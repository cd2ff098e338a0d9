"""Many who ask for one thing at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from otelhealth.server.together import Together


class Making:
    """Gives how often it was asked, once it may."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_end = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.may_end.wait()
        return number


async def test_a_crowd_has_one_making_and_who_comes_while_it_is_made_the_next() -> None:
    making = Making()
    together = Together(making)
    first = [asyncio.ensure_future(together.ask()) for _ in range(100)]
    while not making.begun:
        await asyncio.sleep(0)
    later = [asyncio.ensure_future(together.ask()) for _ in range(100)]
    await asyncio.sleep(0)
    assert making.begun == 1
    making.may_end.set()
    assert set(await asyncio.gather(*first)) == {1}
    assert set(await asyncio.gather(*later)) == {2}


async def test_a_long_making_leaves_the_loop_as_long_to_others() -> None:
    spans = []

    async def make() -> None:
        begun = time.monotonic()
        time.sleep(0.05)
        spans.append((begun, time.monotonic()))

    together = Together(make)
    await together.ask()
    await together.ask()
    (begun, ended), (next_begun, _) = spans
    assert next_begun - ended > 0.9 * (ended - begun)


async def test_one_that_goes_away_takes_the_answer_from_nobody() -> None:
    making = Making()
    together = Together(making)
    one, other = (asyncio.ensure_future(together.ask()) for _ in range(2))
    while not making.begun:
        await asyncio.sleep(0)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    making.may_end.set()
    assert await other == 1


async def test_a_failure_is_told_to_all_who_asked_and_to_nobody_after() -> None:
    fails = True

    async def make() -> str:
        if fails:
            raise ValueError("no")
        return "yes"

    together = Together(make)
    told = await asyncio.gather(together.ask(), together.ask(), return_exceptions=True)
    assert [str(each) for each in told] == ["no", "no"]
    fails = False
    assert await together.ask() == "yes"
