"""Reads the figures of what was received, in a thread of its own: it rather misses some than holds anything up."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from queue import SimpleQueue

from otelhealth.telemetry.reading import read
from otelhealth.telemetry.reading_json import read_json
from otelhealth.telemetry.requests import Requests

_ROOM = 32 * 2**20  # bytes that may wait to be read
log = logging.getLogger("otelhealth.receive")


class Follower:
    """From `start` to `stop`; `follow` is called by one thread."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._waiting: SimpleQueue[tuple[bytes, bool] | None] = SimpleQueue()
        self._came = self._read = 0  # bytes: each is written by one thread
        self._behind = False

    def start(self) -> None:
        threading.Thread(target=self._work, name="otelhealth-figures", daemon=True).start()

    def stop(self) -> None:
        """Without waiting for it."""
        self._waiting.put(None)

    def follow(self, body: bytes, *, is_json: bool) -> None:
        """A request for metrics, unpacked."""
        behind = self._came - self._read + len(body) > _ROOM
        if behind != self._behind:
            self._behind = behind
            if behind:
                log.warning("metrics come faster than they can be read: they go on, `performance` misses some")
        if not behind:
            self._came += len(body)
            self._waiting.put((body, is_json))

    def _work(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            body, is_json = waiting
            with suppress(ValueError):  # odd inside: that is for the one whom the request is meant for
                self._requests.take(read_json(body) if is_json else read(body))
            self._read += len(body)
