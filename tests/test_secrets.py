"""No secret leaves, whatever a target echoes and a function raises: looked for in all that an agent tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from otelhealth import Agent
from otelhealth.checks.registry import all_kinds
from otelhealth.cli.check import as_table
from otelhealth.config.fields import keys_of
from otelhealth.config.load import from_mapping
from otelhealth.config.root import SECTIONS
from otelhealth.errors import ConfigError
from otelhealth.once import run_once
from otelhealth.records import CheckRecord
from otelhealth.redaction import Redactor
from tests.inside import asking
from tests.kinds.loopback import serving
from tests.planted import ENVIRON, SECRETS, echo_http, echo_tcp, leaks, settings
from tests.telemetry.receiver import Answer, Receiver
from tests.waiting import until


def partial_success(said: str) -> bytes:
    return json.dumps({"partialSuccess": {"rejectedSpans": 1, "errorMessage": said}}).encode()


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
async def ports() -> AsyncIterator[tuple[int, int]]:
    async with serving(echo_http) as http, serving(echo_tcp) as tcp:
        yield http, tcp


async def get(url: str) -> str:
    _, body = await asyncio.to_thread(asking.get, url, authorization=f"Bearer {SECRETS['token']}")
    return body.decode()


async def told_by_an_agent(tmp_path: Path, receiver: Receiver, ports: tuple[int, int]) -> dict[str, bytes | str]:
    """All that can be seen of one from outside, by its place."""
    told: dict[str, bytes | str] = {}
    async with Agent(settings(tmp_path, *ports, receiver.endpoint)) as agent:
        names = list(agent.config.checks)
        await until(lambda: all(check["last_result"] != "unknown" or check["log"] for check in records(agent)))
        await until(lambda: all(check["failure_count"] >= 2 for check in records(agent) if check["error_type"]))
        for path in ("/health", "/health/detailed", "/health/ready", "/metrics", "/openapi.json"):
            told[path] = await get(agent.url + path)
        for name in names:
            told[f"record of {name}"] = await get(f"{agent.url}/health/checks/{name}")
            told[f"history of {name}"] = await get(f"{agent.url}/health/checks/{name}/history")
    told |= {f"{request.path} {number}": request.body for number, request in enumerate(receiver.requests)}
    told |= {file.name: file.read_bytes() for file in tmp_path.glob("*.db*")}
    assert {request.path for request in receiver.requests} == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    return told


async def test_no_secret_is_in_spans_metrics_events_answers_or_the_store(
    tmp_path: Path, receiver: Receiver, ports: tuple[int, int]
) -> None:
    assert leaks(await told_by_an_agent(tmp_path, receiver, ports)) == []


async def test_an_agent_that_does_not_know_them_tells_them_everywhere(
    tmp_path: Path, receiver: Receiver, ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Redactor, "learn", lambda *_: None)
    found = leaks(await told_by_an_agent(tmp_path, receiver, ports))
    assert {leak.split(": ")[1] for leak in found} == SECRETS.keys() - {"token", "otlp"}
    places = {"/health/detailed", "/metrics", "/v1/traces", "/v1/metrics", "/v1/logs", "store.db"}
    assert places <= {leak.split()[0].removesuffix(":") for leak in found}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, {"content-type": "text/plain"}, f"bad key {SECRETS['otlp']}".encode()),
        Answer(400, {"content-type": "text/plain"}, f"bad key {SECRETS['otlp']}".encode()),
        Answer(200, {"content-type": "application/json"}, partial_success(SECRETS["otlp"])),
    ],
    ids=["held", "refused", "partial"],
)
async def test_a_receiver_that_repeats_its_key_is_not_repeated(
    tmp_path: Path, receiver: Receiver, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = answer
    async with Agent(settings(tmp_path, 1, 1, receiver.endpoint)) as agent:
        await until(lambda: "***" in caplog.text)
        report = json.dumps(agent.report())
    assert leaks({"log": caplog.text, "report": report}) == []


def records(agent: Agent) -> list[CheckRecord]:
    return list(agent.report()["checks"].values())


async def test_no_secret_is_in_what_check_prints(tmp_path: Path, ports: tuple[int, int]) -> None:
    found = await run_once(from_mapping(settings(tmp_path, *ports, "http://127.0.0.1:1"), ENVIRON))
    assert {record["status"] for record in found.values()} == {"fail", "pass"}
    assert leaks({"table": as_table(found), "json": json.dumps(found)}) == []


@pytest.mark.parametrize("kind", all_kinds())
def test_no_error_of_any_field_of_a_kind_repeats_what_a_variable_gave(kind: str) -> None:
    found = [way for way in ways(all_kinds()[kind]) if way[0] not in ("kind", "name")]
    errors = refusals({"checks": {"api": {"kind": kind} | nested(way, value)}} for way in found for value in WRITTEN)
    assert len(errors) > 20
    assert leaks(errors) == []


@pytest.mark.parametrize("section", SECTIONS)
def test_no_error_of_any_field_of_a_section_repeats_what_a_variable_gave(section: str) -> None:
    found = ways(SECTIONS[section])
    errors = refusals({section: nested(way, value), "checks": {}} for way in found for value in WRITTEN)
    assert len(errors) > 5
    assert leaks(errors) == []


WRITTEN = [
    value
    for text in ("${env:PLANTED_TOKEN}", "a ${env:PLANTED_TOKEN} b")
    for value in (text, [text], {"x": text}, {text: 1})
]


def refusals(configs: Iterable[dict[str, Any]]) -> dict[str, str]:
    """What is said of those that are refused."""
    found = {}
    for config in configs:
        try:
            from_mapping(config, ENVIRON)
        except ConfigError as error:
            found[str(config)] = str(error)
    return found


def ways(model: type[BaseModel], way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """To every field of a model, and of those below it."""
    for name, field in keys_of(model).items():
        yield (*way, name)
        for inner in models_in(field.annotation):
            yield from ways(inner, (*way, name))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def nested(way: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(way):
        value = {key: value}
    return value  # type: ignore[no-any-return]  # a way has one key at least
