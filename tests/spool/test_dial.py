"""Looking a receiver's name up and dialling what was found, within the deadline and until it is aborted."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from otelhealth.spool.dial import Dialler
from otelhealth.spool.verdict import Fate
from tests.spool.test_post import SENT, letter, post
from tests.telemetry.receiver import Receiver
from tests.waiting import eventually

NAME = "collector.test"
_look_up = socket.getaddrinfo


class Resolver:
    """In place of the system's: tells `addresses` of the receiver's name, or nothing before `answers` is set."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.addresses: list[tuple[str, int]] = []
        self.asked = 0

    def __call__(self, host: str, port: int, *more: Any, **named: Any) -> list[Any]:
        if host != NAME or named.get("flags"):
            return _look_up(host, port, *more, **named)
        self.asked += 1
        self.answers.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in self.addresses]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    found = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    yield found
    found.answers.set()


def test_a_resolver_that_hangs_costs_no_more_than_the_deadline_and_one_thread(
    resolver: Resolver, receiver: Receiver
) -> None:
    sending = post(f"http://{NAME}:4318", timeout="50ms")
    for _ in range(3):
        begun = time.monotonic()
        verdict = sending.attempt(letter())
        assert time.monotonic() - begun < 20  # the resolver takes 30 s
        assert (verdict.fate, verdict.error_type) == (Fate.HELD, "dns_timeout")
        assert f"the name of {NAME}:4318 cannot be looked up" in verdict.said
    assert resolver.asked == 1
    resolver.addresses = [("127.0.0.1", int(receiver.endpoint.rpartition(":")[2]))]
    resolver.answers.set()
    eventually(lambda: sending.attempt(letter()) == SENT)
    sending.close()


def test_an_abort_ends_a_look_up_that_hangs(resolver: Resolver) -> None:
    sending = post(f"http://{NAME}:4318", timeout="60s")
    ended = threading.Event()

    def attempt() -> None:
        sending.attempt(letter())
        ended.set()

    threading.Thread(target=attempt, daemon=True).start()
    eventually(lambda: resolver.asked)
    sending.abort()
    assert ended.wait(10)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(resolver: Resolver) -> None:
    resolver.answers.set()
    with ExitStack() as opened:
        mute, open_ = (opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0)) for _ in range(2))
        for _ in range(2):  # its queue is full: what comes is not answered
            full = opened.enter_context(socket.socket())
            full.setblocking(False)
            full.connect_ex(mute.getsockname())
        resolver.addresses = [mute.getsockname(), open_.getsockname()]
        with Dialler(NAME, 4318).dial(time.monotonic() + 4) as connected:
            assert connected.getpeername() == open_.getsockname()
