"""Reads the figures of what was received, in a thread of its own: it rather misses some than holds anything up."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from queue import SimpleQueue

from otelhealth.spool import Letter
from otelhealth.telemetry.content import is_json
from otelhealth.telemetry.reading import read
from otelhealth.telemetry.reading_json import read_json
from otelhealth.telemetry.requests import Requests

_ROOM = 32 * 2**20  # bytes that may wait to be read
log = logging.getLogger("otelhealth.receive")


class Follower:
    """From `start` to `stop`; `follow` is called by one thread."""

    def __init__(self, requests: Requests, body_size: int) -> None:
        self._requests = requests
        self._body_size = body_size
        self._waiting: SimpleQueue[Letter | None] = SimpleQueue()
        self._came = self._read = 0  # bytes: each is written by one thread
        self._behind = False

    def start(self) -> None:
        threading.Thread(target=self._work, name="otelhealth-figures", daemon=True).start()

    def stop(self) -> None:
        """Without waiting for it."""
        self._waiting.put(None)

    def follow(self, letter: Letter) -> None:
        """A sound request for metrics."""
        behind = self._came - self._read + len(letter.body) > _ROOM
        if behind and not self._behind:
            log.warning("metrics come faster than they can be read: they go on, `performance` misses some")
        self._behind = behind
        if not behind:
            self._came += len(letter.body)
            self._waiting.put(letter)

    def _work(self) -> None:
        while (letter := self._waiting.get()) is not None:
            with suppress(ValueError):  # odd inside: that is for the one whom the request is meant for
                body = letter.plain(self._body_size).body
                self._requests.take(read_json(body) if is_json(letter.content_type) else read(body))
            self._read += len(letter.body)
