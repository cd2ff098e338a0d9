from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
import urllib.request
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from otelhealth import Agent, check
from otelhealth.errors import ConfigError, OtelHealthError
from otelhealth.model import ServiceStatus
from otelhealth.records import HealthReport
from tests.inside import asking
from tests.kinds.loopback import serving
from tests.stack.loopback import unused_port
from tests.telemetry.receiver import Receiver, attributes
from tests.waiting import until

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


def settings(folder: Path, **sections: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "service": {"name": "shop", "version": "1.4.2"},
        "server": {"listen": "127.0.0.1:0"},
        "store": {"path": str(folder / "store.db")},
        "checks": {},
    }
    return base | sections


async def run_now(url: str, traceparent: str) -> Any:
    request = urllib.request.Request(url, method="POST", headers={"traceparent": traceparent})

    def ask() -> Any:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(ask)


async def get(url: str) -> tuple[int, Any]:
    status, body = await asyncio.to_thread(asking.get, url)
    return status, json.loads(body)


def listener(port: int = 0) -> AbstractAsyncContextManager[int]:
    """Takes connections and closes them."""

    async def accept(_: Reader, __: Writer) -> None:
        """Nothing is said."""

    return serving(accept, port=port)


def tcp(port: int, **more: Any) -> dict[str, Any]:
    fast = {"every": "200ms", "timeout": "2s", "threshold": {"max_consecutive_failures": 2}}
    return {"kind": "tcp", "host": "127.0.0.1", "port": port} | fast | more


async def test_a_reload_without_a_file_says_why_nothing_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Agent(settings(tmp_path)) as agent:
        await agent.reload()
    assert "there was no configuration file at the start; restart to use one" in caplog.text


async def test_an_agent_that_is_not_entered_knows_nothing_of_the_service() -> None:
    agent = Agent({"store": {"path": ":memory:"}})
    assert agent.evaluate() is ServiceStatus.UNHEALTHY
    with pytest.raises(OtelHealthError, match="the agent has not started; run checks inside `async with`"):
        await agent.run_checks("cpu")


async def test_a_target_that_dies_and_comes_back_is_seen_from_outside(tmp_path: Path) -> None:
    port = unused_port()
    async with listener(port):
        agent = Agent(settings(tmp_path, checks={"db": tcp(port, tier=1, groups=["ready"])}))
        await agent.__aenter__()
        await until(lambda: agent.report()["checks"]["db"]["status"] == "pass")
        assert (await get(f"{agent.url}/health"))[0] == 200
        assert (await get(f"{agent.url}/health/ready"))[1]["status"] == "ready"
    try:
        await until(lambda: agent.evaluate() is ServiceStatus.CRITICAL)
        code, brief = await get(f"{agent.url}/health")
        assert (code, brief["status"], brief["service"], brief["version"]) == (503, "critical", "shop", "1.4.2")
        code, ready = await get(f"{agent.url}/health/ready")
        assert (code, ready["checks"]["db"]["status"]) == (503, "unready")
        record = agent.report()["checks"]["db"]
        assert record["error_type"] == "connection_refused"
        assert record["failure_count"] >= 2
        assert (await get(f"{agent.url}/health/live"))[0] == 200
        async with listener(port):
            await until(lambda: agent.evaluate() is ServiceStatus.HEALTHY)
    finally:
        await agent.__aexit__(None, None, None)
    assert agent.url == ""


async def test_the_report_has_the_types_that_typed_clients_decode(tmp_path: Path) -> None:
    async with listener() as port, Agent(settings(tmp_path, checks={"db": tcp(port)})) as agent:
        await until(lambda: agent.report()["checks"]["db"]["last_run"] is not None)
        _, report = await get(f"{agent.url}/health/detailed")
        record, performance = report["checks"]["db"], report["performance"]
        integers = [report["timestamp"], report["uptime_seconds"], record["last_success"], record["duration_ms"]]
        integers += [record["failure_count"], performance["memory_usage_mb"], performance["network_connections"]]
        integers += [record["threshold"][name] for name in ("max_response_time_ms", "max_consecutive_failures")]
        integers += [performance["error_rates"]["total_errors_24h"]]
        assert {type(value) for value in integers} == {int}
        floats = [value for name, value in performance.items() if name.endswith("_percent")]
        floats += performance["response_times"].values()
        floats += [performance["error_rates"][f"rate_{minutes}min"] for minutes in (1, 5, 15)]
        floats += [record["threshold"]["max_failure_rate"]]
        assert {type(value) for value in floats} == {float}
        assert (report["alerts"], report["slo"], record["last_failure"]) == ([], {}, None)


async def test_states_history_and_instance_survive_a_restart(tmp_path: Path) -> None:
    config = settings(tmp_path, checks={"db": tcp(1, every="200ms")})
    async with Agent(config) as agent:
        await until(lambda: agent.report()["checks"]["db"]["status"] == "fail")
        before, instance = agent.report()["checks"]["db"], agent.telemetry.resource["service.instance.id"]
    config["checks"]["db"]["every"] = "1h"
    async with Agent(config) as agent:
        after = agent.report()["checks"]["db"]
        assert (after["status"], after["since"]) == ("fail", before["since"])
        assert after["failure_count"] >= before["failure_count"]
        assert agent.telemetry.resource["service.instance.id"] == instance
        _, history = await get(f"{agent.url}/health/checks/db/history")
        assert history["changes"][0]["status"] == "fail"
        assert {run["status"] for run in history["runs"]} == {"fail"}


async def test_a_program_adds_functions_from_any_thread_and_runs_them_on_demand(tmp_path: Path) -> None:
    @check(every="1h", tier=1)
    def stock_is_consistent() -> str:
        return f"counted in {threading.current_thread().name}"

    async with Agent(settings(tmp_path)) as agent:
        await asyncio.to_thread(agent.add, stock_is_consistent)
        await until(lambda: "stock-is-consistent" in agent.report()["checks"])
        records = await agent.run_checks("stock-is-consistent")
        assert records["stock-is-consistent"]["message"].startswith("counted in otelhealth-check")
        with pytest.raises(OtelHealthError, match="did you mean stock-is-consistent"):
            await agent.run_checks("stock-is-consistant")


async def test_another_event_loop_may_ask_for_runs(tmp_path: Path) -> None:
    async with listener() as port, Agent(settings(tmp_path, checks={"db": tcp(port, every="1h")})) as agent:
        records = await asyncio.to_thread(lambda: asyncio.run(_run_in_this_loop(agent)))
        assert records["db"]["status"] == "pass"


async def _run_in_this_loop(agent: Agent) -> Any:
    return await agent.run_checks("db")


async def test_a_changed_file_takes_effect_without_losing_states(tmp_path: Path) -> None:
    async with listener() as port:
        file = tmp_path / "otelhealth.yaml"
        file.write_text(json.dumps(settings(tmp_path, checks={"db": tcp(port), "old": tcp(port)})))
        async with Agent(file) as agent:
            await until(lambda: agent.report()["checks"]["db"]["status"] == "pass")
            since = agent.report()["checks"]["db"]["since"]
            changed = settings(tmp_path, checks={"db": tcp(port, tier=3), "new": tcp(port)}, service={"name": "other"})
            file.write_text(json.dumps(changed))
            await until(lambda: set(agent.report()["checks"]) == {"db", "new"})
            db = agent.report()["checks"]["db"]
            assert (db["tier"], db["status"], db["since"]) == (3, "pass", since)
            await until(lambda: agent.report()["checks"]["new"]["status"] == "pass")
            assert agent.report()["service"] == "shop"
            assert config_of(agent.report())["restart_needed"] == ["service"]


async def test_a_bad_file_keeps_the_old_configuration_and_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "otelhealth.yaml"
    file.write_text(json.dumps(settings(tmp_path, checks={"load": {"kind": "load"}})))
    async with Agent(file) as agent:
        file.write_text("checks: {load: {kind: lod}}")
        await agent.reload()
        assert set(agent.report()["checks"]) == {"load"}
        assert "did you mean load?" in (config_of(agent.report())["error"] or "")
        assert "the old one stays in force" in caplog.text
        refused = [
            p.value for f in agent.telemetry.families() if f.name == "otelhealth.config.reloads" for p in f.points
        ]
        assert sum(value for value in refused if isinstance(value, float | int)) == 1
        file.write_text(json.dumps(settings(tmp_path, checks={"cpu": {"kind": "cpu"}})))
        await agent.reload()
        assert set(agent.report()["checks"]) == {"cpu"}
        assert config_of(agent.report())["error"] is None


async def test_a_file_with_thousands_of_mistakes_is_said_in_a_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "otelhealth.yaml"
    file.write_text(json.dumps(settings(tmp_path)))
    async with Agent(file) as agent:
        wrong = {f"c{number}": {"kind": "lod"} for number in range(2000)}
        file.write_text(json.dumps(settings(tmp_path, checks=wrong)))
        await agent.reload()
        said = config_of(agent.report())["error"].splitlines()
    assert len(said) == 21
    assert said[-1] == "and 1,980 more; see `otelhealth validate`"
    assert said[-1] in caplog.text


def config_of(report: HealthReport) -> Any:
    return report.get("config")


async def test_a_collector_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    hung = asyncio.Event()

    async def swallow(reader: Reader, _: Writer) -> None:
        await reader.read(10)
        hung.set()
        await asyncio.Event().wait()

    async with serving(swallow) as port:
        telemetry = {"otlp": {"endpoint": f"http://127.0.0.1:{port}", "timeout": "60s"}}
        async with Agent(settings(tmp_path, checks={"load": {"kind": "load", "every": "100ms"}}, telemetry=telemetry)):
            await asyncio.wait_for(hung.wait(), 20)
            begun = time.monotonic()
        assert time.monotonic() - begun < 30  # of the 60 s for which a request waits
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_startup_checks_hold_the_service_back_until_they_have_passed(tmp_path: Path) -> None:
    port = unused_port()
    config = settings(tmp_path, checks={"db": tcp(port, groups=["startup"])})
    async with Agent(config) as agent:
        code, brief = await get(f"{agent.url}/health")
        assert (code, brief["starting"]) == (503, True)
        async with listener(port):
            await until(lambda: agent.evaluate() is ServiceStatus.HEALTHY)
            assert (await get(f"{agent.url}/health"))[0] == 200


async def test_a_bad_mapping_names_every_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Agent(settings(tmp_path, checks={"a": {"kind": "tpc"}, "b": {"kind": "tcp", "host": "x", "port": 0}}))
    assert len(caught.value.problems) == 2


async def test_an_address_in_use_is_said_with_its_remedy(tmp_path: Path) -> None:
    async with listener() as port:
        with pytest.raises(OtelHealthError, match=r"cannot listen on 127.0.0.1:\d+: address already in use"):
            async with Agent(settings(tmp_path, server={"listen": f"127.0.0.1:{port}"})):
                pass


async def test_what_a_users_check_raises_leaves_as_an_event_once_and_without_secrets(
    tmp_path: Path, receiver: Receiver
) -> None:
    def broken() -> None:
        raise KeyError("postgres://app:hunter2@db/shop")

    telemetry = {"otlp": {"endpoint": receiver.endpoint}}
    async with Agent(settings(tmp_path, telemetry=telemetry)) as agent:
        agent.add(broken)
        for _ in range(3):
            await agent.run_checks("broken")
    raised = [record for record in receiver.logs() if record.event_name == "otelhealth.check.exception"]
    assert len(raised) == 1
    told = attributes(raised[0].attributes)
    assert told["exception.type"] == "KeyError"
    assert "broken" in str(told["exception.stacktrace"])
    assert "hunter2" not in str(told)


async def test_an_agent_is_entered_once_and_runs_nothing_once_it_has_stopped(tmp_path: Path) -> None:
    agent = Agent(settings(tmp_path, checks={"load": {"kind": "load"}}))
    async with agent:
        with pytest.raises(OtelHealthError, match="an agent is entered once; make another Agent"):
            await agent.__aenter__()
        assert (await agent.run_checks("load"))["load"]["last_result"] == "pass"
    with pytest.raises(OtelHealthError, match="the agent has stopped"):
        await agent.run_checks("load")
    assert agent.report()["draining"]


async def test_a_file_that_became_empty_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "otelhealth.yaml"
    file.write_text(json.dumps(settings(tmp_path, checks={"load": {"kind": "load"}})))
    async with Agent(file) as agent:
        file.write_text("")
        await agent.reload()
        assert set(agent.report()["checks"]) == {"load"}
        assert config_of(agent.report())["error"] == f"{file}: is empty; write `checks: {{}}` to watch nothing"


async def test_reloads_asked_for_while_one_reads_are_one_more(tmp_path: Path) -> None:
    file = tmp_path / "otelhealth.yaml"
    file.write_text('server: {listen: "127.0.0.1:0"}\nstore: {path: ":memory:"}\nchecks: {}\n')
    async with Agent(file) as agent:
        await asyncio.gather(*(agent.reload() for _ in range(50)))
        assert agent.report()["config"]["reloads"] == 2
        await agent.reload()
        assert agent.report()["config"]["reloads"] == 3


async def test_a_history_that_cannot_be_read_is_said_and_is_no_bug(tmp_path: Path) -> None:
    async with Agent(settings(tmp_path, checks={"load": {"kind": "load"}})) as agent:
        with sqlite3.connect(tmp_path / "store.db") as database:
            database.execute("DROP TABLE runs")
        database.close()
        code, answer = await get(f"{agent.url}/health/checks/load/history")
    assert code == 503
    assert answer["error"] == "the store cannot be read: no such table: runs"


async def test_odd_values_in_a_kept_store_are_left_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = settings(tmp_path, checks={"load": {"kind": "load", "every": "200ms"}})
    async with Agent(config) as agent:
        await until(lambda: agent.report()["checks"]["load"]["last_run"] is not None)
        await agent.store.close()
        with sqlite3.connect(tmp_path / "store.db") as store:
            (kept,) = store.execute("SELECT snapshot FROM states").fetchone()
            odd = json.loads(kept) | {"failures": float("inf")}
            store.execute("UPDATE states SET snapshot = ?", (json.dumps(odd),))
            store.execute("INSERT OR REPLACE INTO counters VALUES ('windows', ?)", (json.dumps({"http checks": 5}),))
        store.close()
    async with Agent(config) as agent:
        await until(lambda: agent.report()["checks"]["load"]["status"] == "pass")
    assert "start anew" in caplog.text


async def test_a_run_that_a_request_asked_for_belongs_to_its_trace_and_the_next_one_to_its_own(
    tmp_path: Path, receiver: Receiver
) -> None:
    telemetry = {"otlp": {"endpoint": receiver.endpoint}}
    checks = {"load": {"kind": "load", "every": "1h"}}
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    async with Agent(settings(tmp_path, checks=checks, telemetry=telemetry)) as agent:
        url = f"{agent.url}/health/checks/load/run"
        asked = await run_now(url, f"00-{trace_id}-{span_id}-01")
        strange = await run_now(url, f"00-{'0' * 32}-{span_id}-01")
        later = await agent.run_checks("load")
    assert asked["trace_id"] == trace_id
    assert len({trace_id, strange["trace_id"], later["load"]["trace_id"]}) == 3
    roots = {span.trace_id.hex(): span for span in receiver.spans() if span.name == "check load"}
    assert roots[trace_id].parent_span_id.hex() == span_id
    assert [roots[found["trace_id"]].parent_span_id for found in (strange, later["load"])] == [b"", b""]


async def test_a_run_whose_request_is_not_sampled_is_counted_and_leaves_no_trace(
    tmp_path: Path, receiver: Receiver
) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    config = settings(tmp_path, checks={"load": {"kind": "load", "every": "1h"}})
    async with Agent(config | {"telemetry": {"otlp": {"endpoint": receiver.endpoint}}}) as agent:
        await agent.run_checks("load")
        asked = await run_now(f"{agent.url}/health/checks/load/run", f"00-{trace_id}-00f067aa0ba902b7-00")
    assert asked["trace_id"] == trace_id
    [point] = receiver.metrics()["otelhealth.check.duration"].histogram.data_points
    sampled = {span.trace_id.hex() for span in receiver.spans()}
    assert trace_id not in sampled
    assert point.count == len(sampled) + 1
    assert {exemplar.trace_id.hex() for exemplar in point.exemplars} <= sampled


def kept_states(path: Path) -> dict[str, Any]:
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT name, snapshot FROM states").fetchall()
    database.close()
    return {name: json.loads(snapshot) for name, snapshot in found}


@pytest.mark.parametrize("other", [None, b"", b"no database", "older"])
async def test_a_store_that_is_lost_while_it_is_used_is_said_and_states_go_on(
    tmp_path: Path, other: bytes | str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path, made = tmp_path / "store.db", tmp_path / "made"
    config = settings(tmp_path, checks={name: {"kind": "load", "every": "1h"} for name in ("load", "other")})
    async with Agent(config) as agent:
        await agent.run_checks()
    made.write_bytes(path.read_bytes() if isinstance(other, str) else other or b"")
    async with Agent(config) as agent:
        await agent.run_checks()
        since = agent.report()["checks"]["other"]["since"]
        await agent.store.history("load", 0, 1)  # writes what waits
        path.unlink()
        if other is not None:
            made.rename(path)
        await agent.run_checks("load")
        await agent.store.history("load", 0, 1)
        async with asyncio.timeout(10):
            while "other" not in kept_states(path) or "load" not in kept_states(path):
                await agent.store.history("load", 0, 1)
        _, report = await get(f"{agent.url}/health/detailed")
        told = report["agent"]["store"]
        assert (told["path"], told["dropped"], told["problem"]) == (str(path), 0, None)
        assert told["renewed"]["reason"] in caplog.text
        assert report["checks"]["other"]["since"] == since
    assert sum("the store" in one.message for one in caplog.records) == 1
    async with Agent(config) as agent:
        assert agent.report()["checks"]["other"]["since"] == since


async def test_a_standard_variable_that_cannot_be_read_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Agent(settings(tmp_path), environ={"OTEL_BSP_SCHEDULE_DELAY": "soon"}):
        assert caplog.text.count("OTEL_BSP_SCHEDULE_DELAY is ignored") == 1
