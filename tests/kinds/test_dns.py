from __future__ import annotations

import asyncio
import socket
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from pydantic import ValidationError

from otelhealth.kinds.dns import DnsCheck, host_and_port
from otelhealth.model import CheckResult, Status
from tests.kinds.loopback import Bench, open_files, settled
from tests.kinds.names import Answer, name_server, zone

RECORDS = {
    ("shop.example", "A"): ["10.0.0.1", "10.0.0.2"],
    ("shop.example", "MX"): ["10 mail.shop.example."],
    ("shop.example", "TXT"): ['"v=spf1 -all"'],
    ("broken.example", "A"): ["10.0.0.9"],
}
ZONE = zone(RECORDS, broken=dns.rcode.SERVFAIL, refused=dns.rcode.REFUSED)


async def seen(query: str = "shop.example", answer: Answer = ZONE, **fields: Any) -> CheckResult:
    async with name_server(answer) as (server, _):
        return await Bench().probe(DnsCheck.model_validate({"query": query, "server": server, **fields}))


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_name_that_exists_passes_with_its_records(tcp: bool) -> None:
    async with name_server(ZONE) as (server, transports):
        bench = Bench()
        result = await bench.probe(DnsCheck(query="shop.example", server=server, tcp=tcp))
    assert result.status is Status.PASS
    assert sorted(result.details["answers"]) == ["10.0.0.1", "10.0.0.2"]
    assert result.message.startswith("shop.example A is 10.0.0.")
    assert {one.name: one.value for one in result.measurements if one.name != "lookup_duration"} == {
        "answers": 2,
        "ttl": 60,
    }
    assert transports == ["tcp" if tcp else "udp"]
    attributes = bench.span.attributes or {}
    assert attributes["dns.question.name"] == "shop.example"
    assert attributes["otelhealth.phase.lookup.duration"] == result.measurements[0].value


@pytest.mark.parametrize(
    ("query", "fields", "error_type"),
    [
        ("shop.example", {"type": "MX", "expect": {"answers": ["10 mail.shop.example"]}}, None),
        ("shop.example", {"type": "TXT", "expect": {"answers": ["v=spf1 -all"]}}, None),
        ("shop.example", {"expect": {"count": 2, "answers": ["10.0.0.2"]}}, None),
        ("shop.example", {"expect": {"count": 3}}, "unexpected_answer"),
        ("shop.example", {"expect": {"answers": ["10.0.0.3"]}}, "unexpected_answer"),
        ("shop.example", {"type": "AAAA"}, "dns_no_answer"),
        ("shop.example", {"type": "AAAA", "expect": {"count": 0}}, None),
        ("absent.example", {}, "dns_nxdomain"),
        ("absent.example", {"expect": {"rcode": "NXDOMAIN"}}, None),
        ("shop.example", {"expect": {"rcode": "NXDOMAIN"}}, "unexpected_answer"),
        ("broken.example", {}, "dns_servfail"),
        ("refused.example", {}, "dns_refused"),
    ],
)
async def test_each_answer_has_its_class(query: str, fields: dict[str, Any], error_type: str | None) -> None:
    result = await seen(query, **fields)
    assert result.error_type == error_type
    assert result.status is (Status.PASS if error_type is None else Status.FAIL)


async def test_an_answer_that_is_cut_is_asked_for_again_over_tcp() -> None:
    def cut(question: dns.message.Message, transport: str) -> bytes | None:
        if transport == "tcp":
            return ZONE(question, transport)
        reply = dns.message.make_response(question)
        reply.flags |= dns.flags.TC
        return reply.to_wire()

    async with name_server(cut) as (server, transports):
        assert (await Bench().probe(DnsCheck(query="shop.example", server=server))).status is Status.PASS
    assert transports == ["udp", "tcp"]


async def test_a_server_that_is_silent_is_a_dns_timeout_of_the_kind_itself() -> None:
    async with name_server(lambda _question, _transport: None) as (server, _):
        result = await Bench().probe(DnsCheck(query="shop.example", server=server), timeout=2)
    assert (result.status, result.error_type) == (Status.FAIL, "dns_timeout")
    assert "did not answer in" in result.message


async def test_a_server_that_answers_nonsense_fails() -> None:
    assert (await seen(answer=lambda _question, _transport: b"\x00\x01nonsense")).error_type == "dns_bad_response"


async def test_a_port_without_a_server_is_refused() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for tcp in (False, True):
        check = DnsCheck(query="x.example", server=f"127.0.0.1:{port}", tcp=tcp)
        assert (await Bench().probe(check)).error_type == "connection_refused"


async def test_a_cancelled_question_leaves_no_descriptor() -> None:
    async with name_server(lambda _question, _transport: None) as (server, _):
        check = DnsCheck(query="shop.example", server=server)
        before = open_files()
        task = asyncio.ensure_future(Bench().probe(check))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await settled(before)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1", ("10.0.0.1", 53)),
        ("ns.example:5353", ("ns.example", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_a_server_is_a_host_with_or_without_a_port(text: str, found: tuple[str, int]) -> None:
    assert host_and_port(text) == found


@pytest.mark.parametrize(
    "fields",
    [{"query": ""}, {"query": "a..b"}, {"query": "x" * 64}, {"server": "a:b"}, {"server": ":53"}, {"type": "X"}],
)
def test_a_bad_setting_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DnsCheck.model_validate({"query": "shop.example", **fields})
