"""What the spool costs for each exported request, beside a commit of SQLite's own; and how fast it catches up."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Child, Row, Spread, percentile, say
from otelhealth.clock import SYSTEM
from otelhealth.spool import Letter, Otlp, Spool, SpoolSettings
from otelhealth.spool.place import Place
from otelhealth.telemetry import Identity
from otelhealth.telemetry.content import OtlpContent
from otelhealth.telemetry.resource import build_resource
from otelhealth.telemetry.tracing import Tracer
from otelhealth.telemetry.wire import Envelope

SPANS = 200  # of one request: what a second of a service with that many spans gives


def request() -> Letter:
    """Encoded and packed as the agent does it."""
    items: list[bytes] = []
    tracer = Tracer(items.append, SYSTEM)
    for number in range(SPANS):
        tracer.start_span("GET /items", attributes={"http.route": "/items", "http.response.status_code": number}).end()
    body = Envelope(build_resource(Identity("bench")), "bench", "1").request(items)
    return Letter("traces", body, items=SPANS).packed()


def opened(folder: Path, port: int) -> Spool:
    told = Otlp.model_validate({"endpoint": f"http://127.0.0.1:{port}/v1/traces"})
    return Spool({"traces": told}, Place.beside(folder, "agent", 0, "bench"), SpoolSettings(), OtlpContent())


def bare_commit(folder: Path, body: bytes, count: int) -> float:
    """Seconds of CPU that SQLite alone takes to insert and to delete one such body, a commit each, WAL."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE letters (number INTEGER PRIMARY KEY, body BLOB)")
    before = time.process_time()
    for number in range(count):
        connection.execute("INSERT INTO letters VALUES (?, ?)", (number, body))
        connection.execute("DELETE FROM letters WHERE number = ?", (number,))
    spent = time.process_time() - before
    connection.close()
    return spent / count


def put(folder: Path, letter: Letter, count: int) -> tuple[float, list[float]]:
    """Seconds of CPU for each request that is put, taken and settled; and how long each `put` held its thread."""
    spool = opened(folder, 9)
    queue, took = spool.queue, []
    before = time.process_time()
    for _ in range(count):
        began = time.perf_counter()
        queue.put(letter)
        took.append(time.perf_counter() - began)
        taken = queue.take("traces")
        assert taken is not None
        queue.settle(taken)
    spent = time.process_time() - before
    queue.close()
    return spent / count, took


def catch_up(folder: Path, letter: Letter, port: int, count: int) -> float:
    """Spans a second, of so many requests that an outage left in the file."""
    before = opened(folder, 9)
    for _ in range(count):
        before.queue.put(letter)
    before.close(1.0)
    spool = opened(folder, port)
    began = time.perf_counter()
    spool.start()
    while spool.queue.tallies["traces"].requests["sent"] < count:
        time.sleep(0.001)
    rate = count * SPANS / (time.perf_counter() - began)
    spool.close(1.0)
    return rate


def run(quick: bool) -> Iterator[Row]:
    repetitions, puts, left = (1, 50, 20) if quick else (7, 2_000, 1_000)
    letter = request()
    bare, ours, held, rates = [], [], [], []
    with Child("benchmarks.peers", "receiver") as receiver:
        port = receiver.said()
        for number in range(repetitions):
            with TemporaryDirectory(prefix="otelhealth-bench-") as name:
                folder = Path(name)
                bare.append(bare_commit(folder, letter.body, puts))
                spent, took = put(folder / "put", letter, puts)
                ours.append(spent)
                held += took
                rates.append(catch_up(folder / "left", letter, port, left))
            say(f"{number + 1} of {repetitions}: {1e6 * ours[-1]:.0f} us a request, {rates[-1]:.0f} spans/s")
    cost, yardstick = Spread(ours), Spread(bare)
    late = ", ".join(f"p{round(100 * share)} {1e3 * percentile(held, share):.2f} ms" for share in (0.5, 0.99))
    yield Row(
        f"spool: CPU of a request of {SPANS} spans ({len(letter.body) / 1000:.1f} kB packed), kept, taken and let go",
        "",
        "",
        f"{cost.over(yardstick).text()} x: {cost.text('.0f', 1e6)} us against {yardstick.text('.0f', 1e6)} of "
        f"two bare commits of SQLite; `put` takes {late}",
    )
    yield Row("spool: catching up after an outage", "", "", f"{Spread(rates).text('.0f')} spans/s")
