from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from otelhealth.kinds.sqlite import SqliteCheck
from otelhealth.model import CheckResult, Status
from tests.kinds.runs import Runs, figures

FOREVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "the shop?.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL, note TEXT)")
        connection.executemany("INSERT INTO orders (total, note) VALUES (?, ?)", [(n, "x" * 500) for n in range(100)])
        connection.commit()
    return path


async def ask(path: Path, **fields: object) -> CheckResult:
    return await Runs()(SqliteCheck.model_validate({"name": "db", "path": str(path), **fields}))


async def test_a_database_answers_and_tells_its_size(shop: Path) -> None:
    result = await ask(shop)
    seen = figures(result)
    assert result.status is Status.PASS
    assert result.message.startswith("the shop?.db answers (")
    assert seen["size"] == shop.stat().st_size
    assert seen["pages"] > 10
    assert 0 < seen["response_time[sqlite]"] < 5


async def test_the_columns_of_an_own_query_become_measurements_that_levels_judge(shop: Path) -> None:
    query = "SELECT count(*) AS orders, max(total) AS largest, 'text' AS note, NULL AS missing FROM orders"
    result = await ask(shop, query=query, levels={"orders": {"fail": "> 50"}})
    assert (figures(result)["orders"], figures(result)["largest"]) == (100, 99)
    assert not {"note", "missing"} & set(figures(result))
    assert result.status is Status.FAIL
    assert result.message.startswith("orders is 100, fail at > 50")


async def test_a_query_without_a_row_fails(shop: Path) -> None:
    assert (await ask(shop, query="SELECT id FROM orders WHERE id < 0")).error_type == "no_rows"


async def test_a_query_that_the_database_refuses_fails(shop: Path) -> None:
    result = await ask(shop, query="SELECT * FROM invoices")
    assert (result.status, result.error_type) == (Status.FAIL, "sqlite_error")
    assert result.message == f"{shop}: no such table: invoices"


async def test_nothing_can_be_written(shop: Path) -> None:
    before = shop.read_bytes()
    result = await ask(shop, query="DELETE FROM orders")
    assert (result.status, result.error_type) == (Status.FAIL, "sqlite_readonly")
    assert shop.read_bytes() == before


async def test_a_file_that_is_not_there_fails_and_is_not_created(tmp_path: Path) -> None:
    result = await ask(tmp_path / "none.db")
    assert (result.status, result.error_type) == (Status.FAIL, "not_found")
    assert list(tmp_path.iterdir()) == []


async def test_a_locked_database_fails_as_locked(shop: Path) -> None:
    with closing(sqlite3.connect(shop, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        result = await ask(shop, timeout="400ms")
    assert (result.status, result.error_type) == (Status.FAIL, "locked")
    assert (await ask(shop)).status is Status.PASS


async def test_a_write_ahead_log_is_read_along(shop: Path) -> None:
    with closing(sqlite3.connect(shop, isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO orders (total) VALUES (1000)")
        result = await ask(shop, query="SELECT count(*) AS orders FROM orders")
    assert figures(result)["orders"] == 101


async def test_what_is_no_database_fails(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"this is text" * 1000)
    assert (await ask(path)).error_type == "not_a_database"


async def test_integrity_finds_a_damaged_page_that_the_query_does_not_touch(shop: Path) -> None:
    assert (await ask(shop, integrity=True)).status is Status.PASS
    content = bytearray(shop.read_bytes())
    content[3 * 4096 : 5 * 4096] = os.urandom(2 * 4096)
    shop.write_bytes(content)
    assert (await ask(shop)).status is Status.PASS
    result = await ask(shop, integrity=True)
    assert (result.status, result.error_type) == (Status.FAIL, "corrupt")


async def test_a_database_that_nobody_writes_any_more_is_stale(shop: Path) -> None:
    old = time.time() - 7200
    os.utime(shop, (old, old))
    result = await ask(shop, max_age="1h")
    assert (result.status, result.error_type) == (Status.FAIL, "stale")
    assert result.message == f"{shop} was last written 2h ago"
    assert figures(await ask(shop))["age"] >= 7200


async def test_a_query_without_end_is_interrupted_at_the_deadline_and_its_thread_is_free_again(shop: Path) -> None:
    run = Runs()
    slow = SqliteCheck.model_validate({"name": "db", "path": str(shop), "query": FOREVER, "timeout": "200ms"})
    assert (await run(slow)).error_type == "timeout"
    quick = SqliteCheck(name="db", path=str(shop))
    while (result := await run(quick)).status is Status.UNKNOWN:
        assert result.error_type == "threads_blocked"
    assert result.status is Status.PASS


async def test_the_query_is_a_client_span_without_its_text(shop: Path) -> None:
    run = Runs()
    await run(SqliteCheck(name="db", path=str(shop), query="SELECT 'secret' AS s, 1 AS n"))
    await run(SqliteCheck(name="db", path=str(shop), query="SELECT * FROM invoices"))
    good, bad = (span for span in run.spans if span.kind is SpanKind.CLIENT)
    assert good.name == "SELECT the shop?.db"
    assert dict(good.attributes or {}) == {
        "db.system.name": "sqlite",
        "db.operation.name": "SELECT",
        "db.namespace": "the shop?.db",
    }
    assert (bad.status.status_code, (bad.attributes or {})["error.type"]) == (StatusCode.ERROR, "sqlite_error")
    assert good.parent is not None
