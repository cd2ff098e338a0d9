"""A service with several workers under real servers, seen from each of its workers: at work, and when the one that runs
the checks dies, hangs or is replaced."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import pytest

from tests.inside.asking import get
from tests.waiting import eventually
from tests.workers.serving import GUNICORN, HYPERCORN, UVICORN, Desk, Run, Shop

SERVERS = {"uvicorn": (UVICORN, 3), "gunicorn": (GUNICORN, 3), "hypercorn": (HYPERCORN, 2)}
GRACE = {"uvicorn": "1m", "gunicorn": "1m", "hypercorn": "5s"}  # a leader that hangs is to show in one of them only
every_server = pytest.mark.parametrize("server", list(SERVERS))


class Fleet(NamedTuple):
    """A shop with a desk at each of its workers."""

    shop: Shop
    desks: dict[int, Desk]

    def leader(self) -> int:
        [pid] = {desk.worker()["leader_pid"] for desk in self.desks.values()}
        return int(pid)

    def others(self) -> list[Desk]:
        leader = self.leader()
        return [desk for pid, desk in self.desks.items() if pid != leader]

    @property
    def sent(self) -> int:
        """The requests that all its workers have had together."""
        return sum(10 * number + 1 for number in range(len(self.desks)))

    def hear_of_all(self) -> None:
        """Until each worker knows of them."""
        eventually(lambda: all(requests_of(desk) >= self.sent for desk in self.desks.values()))


@pytest.fixture(scope="module")
def fleets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Fleet]]:
    """One under each server, all at once, for most of the time they wait. The workers of each have had ten requests for
    each worker before them, and one that failed."""
    shops = {name: Shop(tmp_path_factory.mktemp(name), *how, SHOP_GRACE=GRACE[name]) for name, how in SERVERS.items()}
    with ExitStack() as opened, ThreadPoolExecutor() as starting:
        list(starting.map(opened.enter_context, shops.values()))
        found = {name: Fleet(shop, opened.enter_context(shop.desks())) for name, shop in shops.items()}
        for fleet in found.values():
            for number, desk in enumerate(fleet.desks.values()):
                assert {desk.ask("/item")[0] for _ in range(10 * number)} <= {200}
                assert desk.ask("/closed")[0] == 503
        yield found


def stock(desk: Desk) -> tuple[str, int]:
    """State of the check, and since when."""
    record = desk.report()["checks"]["stock"]
    return record["status"], record["since"]


def last_run(shop: Shop, *, held: bool) -> Run | None:
    last = shop.runs()[-1]
    return last if last.held is held else None


def answers(desk: Desk, code: int) -> bool:
    return desk.ask("/health")[0] == code


def requests_of(desk: Desk) -> int:
    return int(desk.report()["performance"]["requests"])


def instances(text: str, name: str) -> set[str]:
    """Of which workers there are points of that name."""
    return set(re.findall(rf'^{name}{{.*?service_instance_id="([^"]+)"', text, re.MULTILINE))


def metrics(desk: Desk, workers: int) -> str | None:
    """Its metrics, once they are those of so many workers."""
    text = desk.ask("/metrics")[1]
    return text if len(instances(text, "target_info")) == workers else None


def gaps(runs: Iterable[Run]) -> list[float]:
    """Seconds between them; the first is not in time with the others."""
    return [later.at - earlier.at for earlier, later in pairwise(list(runs)[1:])]


def assert_in_turn(runs: list[Run]) -> None:
    """One process after the other ran the check, never too often: a turn begins with a run off beat."""
    turns = [runs[0].pid, *(later.pid for earlier, later in pairwise(runs) if earlier.pid != later.pid)]
    assert len(turns) == len(set(turns)), turns
    assert len(runs) <= runs[-1].at - runs[0].at + 2 + len(turns)  # every second; the first of them may have been late


@every_server
def test_one_worker_runs_the_check_once_per_interval_and_all_know_its_state(
    fleets: dict[str, Fleet], server: str
) -> None:
    fleet = fleets[server]
    leader = fleet.leader()
    assert [pid for pid, desk in fleet.desks.items() if desk.worker()["leads"]] == [leader]
    runs = eventually(lambda: found if len(found := fleet.shop.runs()) >= 4 else None)
    assert {run.pid for run in runs} == {leader}
    assert len(runs) <= runs[-1].at - runs[0].at + 2
    assert len({stock(desk) for desk in fleet.desks.values()}) == 1
    assert {desk.ask("/health/ready")[0] for desk in fleet.desks.values()} == {200}


def test_a_change_of_state_is_known_to_all_workers_within_a_second(fleets: dict[str, Fleet]) -> None:
    shop, desks = fleets["uvicorn"]
    late: dict[int, list[float]] = {pid: [] for pid in desks}
    out = shop.folder / "out"
    for held in (False, True, False, True):
        out.unlink() if held else out.touch()
        run = eventually(partial(last_run, shop, held=held))
        for pid, desk in desks.items():
            eventually(partial(answers, desk, 200 if held else 503))
            late[pid].append(time.time() - run.at)
    # the best of four: a busy machine may hold up any of them
    assert max(min(each) for each in late.values()) < 1.0, late


def test_a_run_on_demand_reaches_the_leader_from_each_worker_and_counts_for_all(fleets: dict[str, Fleet]) -> None:
    fleet = fleets["gunicorn"]
    followers = fleet.others()
    for number in range(8):
        before = time.time()
        code, record = followers[number % len(followers)].ask("/health/checks/stock/run", "POST")
        assert (code, record["name"], record["status"]) == (200, "stock", "pass")
        assert [run.pid for run in fleet.shop.runs() if run.at > before][:1] == [fleet.leader()]
    for desk in fleet.desks.values():
        code, refusal = desk.ask("/health/checks/stock/run", "POST")
        assert (code, refusal["error"]) == (429, "runs on demand come too often")
    assert followers[0].ask("/health/checks/strange/run", "POST")[0] == 404


@every_server
def test_the_past_of_a_check_is_told_by_each_worker(fleets: dict[str, Fleet], server: str) -> None:
    fleet = fleets[server]
    eventually(lambda: len(fleet.shop.runs()) > 3)  # so that three are kept
    for desk in fleet.desks.values():
        code, history = desk.ask("/health/checks/stock/history?limit=3")
        assert (code, len(history["runs"]), history["changes"][-1]["status"]) == (200, 3, "pass")


@every_server
def test_performance_is_that_of_the_requests_of_all_workers(fleets: dict[str, Fleet], server: str) -> None:
    desks, sent = fleets[server].desks, fleets[server].sent
    fleets[server].hear_of_all()
    for desk in desks.values():
        found = desk.report()["performance"]
        assert (found["requests"], found["source"]) == (sent, "application")
        assert found["error_rates"]["total_errors_24h"] == len(desks)
        assert found["error_rates"]["rate_15min"] == pytest.approx(100 * len(desks) / sent)


@every_server
def test_metrics_of_each_worker_are_those_of_all(fleets: dict[str, Fleet], server: str) -> None:
    desks = fleets[server].desks
    for desk in desks.values():
        text = eventually(partial(metrics, desk, len(desks)), 25)
        assert instances(text, "process_uptime_seconds") == instances(text, "target_info")
        assert len(instances(text, "otelhealth_check_status")) == 1


def test_when_the_leader_is_killed_the_next_goes_on_where_it_was(fleets: dict[str, Fleet]) -> None:
    fleet = fleets["uvicorn"]
    shop, leader, others = fleet.shop, fleet.leader(), fleet.others()
    fleet.hear_of_all()
    known = stock(fleet.desks[leader])
    before = len(shop.runs())
    os.kill(leader, signal.SIGKILL)

    def goes_on() -> bool:
        assert {desk.ask("/health")[0] for desk in others} == {200}
        assert {stock(desk) for desk in others} == {known}
        return shop.runs()[-3].pid != leader

    eventually(goes_on)
    assert_in_turn(shop.runs()[before - 2 :])
    assert max(gaps(shop.runs()[before - 2 :])) < 10.0  # the interval, and some for a busy machine
    assert sorted(desk.worker()["leads"] for desk in others) == [False, True]
    assert {requests_of(desk) for desk in others} == {fleet.sent}
    with shop.desks() as now:
        assert {desk.worker()["number"] for desk in now.values()} == {0, 1, 2}
        assert {stock(desk) for desk in now.values()} == {known}


def test_a_leader_that_hangs_shows_in_the_others_answers_until_it_goes_on(fleets: dict[str, Fleet]) -> None:
    fleet = fleets["hypercorn"]
    leader, others = fleet.leader(), fleet.others()
    silent = f"the worker that runs the checks (pid {leader}) has not been heard of for"
    before = len(fleet.shop.runs())
    os.kill(leader, signal.SIGSTOP)
    try:
        for desk in others:
            eventually(partial(answers, desk, 503))
            assert stock(desk)[0] == "unknown"
            assert desk.report()["status"] == "critical"
            assert desk.report()["checks"]["stock"]["stale"]
            assert desk.ask("/health/live")[0] == 200
        for desk in others:
            eventually(lambda desk=desk: silent in (desk.worker()["error"] or ""))  # type: ignore[misc]  # the loop's own
            code, refusal = desk.ask("/health/checks/stock/run", "POST")
            assert (code, silent in refusal["error"]) == (503, True)
    finally:
        os.kill(leader, signal.SIGCONT)
    for desk in fleet.desks.values():
        eventually(lambda desk=desk: (desk.ask("/health")[0], desk.worker()["error"]) == (200, None))  # type: ignore[misc]  # the loop's own
    assert {run.pid for run in fleet.shop.runs()[before:]} == {leader}


def test_workers_that_are_replaced_go_on_where_the_others_were(fleets: dict[str, Fleet]) -> None:
    """First the leader alone, then all at once by SIGHUP: between the old and the new there may be none for a while."""
    fleet = fleets["gunicorn"]
    shop, leader, others = fleet.shop, fleet.leader(), fleet.others()
    known, before = stock(others[0]), len(shop.runs())
    os.kill(leader, signal.SIGTERM)

    def goes_on() -> bool:
        for desk in others:
            code, health = desk.ask("/health")
            assert code == 200, (health, desk.report())
        return shop.runs()[-3].pid != leader

    eventually(goes_on)
    assert max(gaps(shop.runs()[before - 2 :])) < 10.0
    with shop.desks() as desks:
        old = set(desks)
        assert {stock(desk) for desk in desks.values()} == {known}
    assert shop.pid is not None
    os.kill(shop.pid, signal.SIGHUP)

    def replaced() -> bool:
        with suppress(OSError):  # a server that ends may cut a connection off
            code, body = get(f"{shop.url}/health")
            assert code == 200 or json.loads(body)["starting"], body
        return shop.runs()[-3].pid not in old

    eventually(replaced, 30)
    assert_in_turn(shop.runs()[before - 2 :])
    with shop.desks() as desks:
        assert old.isdisjoint(desks)
        assert {stock(desk) for desk in desks.values()} == {known}
        assert {desk.ask("/health")[0] for desk in desks.values()} == {200}
