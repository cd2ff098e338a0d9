"""One exchange of news between this worker and the others: what is done in a thread, for a disk may be slow."""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from pathlib import Path
from typing import NamedTuple

from otelhealth.clock import Clock
from otelhealth.model import Exposition
from otelhealth.sqlite import is_corrupt
from otelhealth.telemetry.setup import Telemetry
from otelhealth.workers import families
from otelhealth.workers.election import Election
from otelhealth.workers.news import Draft, News
from otelhealth.workers.shared import Shared

FIGURES = 10.0  # s between two times that a worker tells its requests, and its metrics
FRESH = 3 * FIGURES  # s for which another worker's metrics count
_MOST = 10_000  # parts of requests that wait for a disk that refuses
_SHARE = 0.01  # of a core that telling metrics may take


class Exchanged(NamedTuple):
    """How it went: `told` what was drafted, where the file was not opened `fresh`ly: then everything is to be told."""

    told: bool = False
    fresh: bool = False
    news: News = News()
    metrics: list[Exposition] | None = None  # of the others, where they were asked for


class Exchange:
    """Of the worker with this `number`, beside the `store`."""

    def __init__(self, store: Path, number: int, telemetry: Telemetry, clock: Clock) -> None:
        self.election = Election(store, clock)
        self.counted = False  # whether the day's requests are known from the others
        self._shared = Shared(store.with_name(f"{store.stem}-workers.db"), number, uuid.uuid4().hex, clock)
        self._telemetry = telemetry
        self._clock = clock
        self._requests_due = self._metrics_due = 0.0  # monotonic seconds
        self._led = False  # when the asks were last read

    @property
    def alone(self) -> bool:
        """Whether this worker leads and there was never one to follow: nothing need be written."""
        return self.election.leads and not self._shared.path.exists()

    def act(self, draft: Draft, *, stand: bool, metrics: bool) -> Exchanged:
        """Stand for election too, where that is wanted. Raises sqlite3.Error or OSError: then nothing was told."""
        election, shared = self.election, self._shared
        if election.leads:
            election.beat()
        elif stand:
            election.stand()
        try:
            if self.alone:
                shared.close()
                return Exchanged()
            if not shared.usable:
                return Exchanged(fresh=True, news=self._open())
            self._add_figures(draft)
            if draft:
                shared.write(draft)
            news = shared.read(asks=election.leads and not self._led)
            self._led = election.leads
        except sqlite3.DatabaseError as error:
            # damage may show to one of them alone: what another has in its memory is sound
            if is_corrupt(error) or (election.leads and isinstance(error, sqlite3.NotSupportedError)):
                shared.remove()
            raise
        self._include(news)
        return Exchanged(told=True, news=news, metrics=self._metrics() if metrics else None)

    def close(self) -> None:
        self._shared.close()

    def _open(self) -> News:
        news = self._shared.open()
        self._telemetry.windows.share()
        self._include(news)
        return news

    def _include(self, news: News) -> None:
        self._telemetry.windows.include(news.parts, news.counts)
        self.counted |= bool(news.counts)

    def _add_figures(self, draft: Draft) -> None:
        now = self._clock.monotonic()
        if draft.left or now >= self._requests_due:
            self._requests_due = now + FIGURES
            self._telemetry.read_application()
            parts, counts = self._telemetry.windows.take()
            draft.parts = (draft.parts + parts)[-_MOST:]
            draft.counts = (draft.counts + counts)[-_MOST:]
        if not draft.left and now >= self._metrics_due:
            begun = time.thread_time()
            text = families.encode(self._telemetry.families())
            draft.metrics = (json.dumps(dict(self._telemetry.resource)), text)
            self._metrics_due = now + max(FIGURES, (time.thread_time() - begun) / _SHARE)

    def _metrics(self) -> list[Exposition]:
        rows = self._shared.metrics(self._clock.time() - FRESH)
        return [Exposition([json.loads(resource)], list(families.decode(text))) for resource, text in rows]
