"""Who may ask what, over real sockets."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from otelhealth.server.app import OPERATIONS
from otelhealth.server.auth import Guard
from tests.server.agent import TOKEN, Client, serving, settings

PUBLIC = ["/health", "/health/live", "/health/ready", "/health/startup"]
PROTECTED = sorted(each.path.replace("{name}", "db") for each in OPERATIONS if each.path not in PUBLIC)
WITH_TOKEN: Any = {"auth": {"tokens": ["another-token", TOKEN]}}


def method_of(path: str) -> str:
    return "POST" if path.endswith("/run") else "GET"


@pytest.mark.parametrize("path", PUBLIC)
async def test_the_plain_probes_are_open_to_everyone(path: str) -> None:
    async with serving("db", **WITH_TOKEN) as client:
        reply = await client.ask(path, host="shop.example", x_forwarded_for="203.0.113.9")
    assert reply.status == 200


@pytest.mark.parametrize("path", [*PROTECTED, "/unknown", "/"])
async def test_everything_else_wants_the_token_once_there_is_one(path: str) -> None:
    async with serving("db", **WITH_TOKEN) as client:
        without = await client.ask(path, method_of(path))
        wrong = await client.ask(path, method_of(path), authorization="Bearer 0123456789abcdeF")
        right = await client.ask(path, method_of(path), authorization=f"Bearer {TOKEN}")
    assert (without.status, wrong.status) == (401, 401)
    assert without.headers["www-authenticate"].startswith("Bearer ")
    assert "server.auth.tokens" in without.json["remedy"]
    assert right.status == (200 if path in PROTECTED else 404)


@pytest.mark.parametrize("path", PROTECTED)
async def test_without_a_token_this_machine_may_ask_everything(path: str) -> None:
    async with serving("db") as client:
        assert (await client.ask(path, method_of(path))).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"forwarded": "for=203.0.113.9"},
        {"x_forwarded_for": "127.0.0.1"},
        {"x_forwarded_proto": "https"},
        {"x_forwarded_anything": ""},
        {"x_real_ip": "127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x_forwarded": "for=203.0.113.9"},
        {"x_original_forwarded_for": "203.0.113.9"},
        {"x_envoy_external_address": "203.0.113.9"},
        {"x_client_ip": "203.0.113.9"},
        {"x_cluster_client_ip": "203.0.113.9"},
        {"fastly_client_ip": "203.0.113.9"},
        {"host": "rebound.example:8082"},
        {"host": "127.0.0.1.rebound.example"},
        {"host": "localhost.rebound.example"},
        {"host": "192.0.2.1"},
        {"host": ""},
        {"host": "[::1"},
    ],
)
async def test_a_forwarded_or_rebound_request_is_not_from_this_machine(headers: Any) -> None:
    async with serving("db") as client:
        for path in PROTECTED:
            reply = await client.ask(path, method_of(path), **headers)
            assert reply.status == 403
            assert "server.auth.tokens" in reply.json["remedy"]
    assert client.served.ran == []


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9:80", "localhost:8082", "LOCALHOST", "[::1]:8082", "localhost."]
)
async def test_the_names_of_this_machine_are_not_foreign(host: str) -> None:
    async with serving("db") as client:
        assert (await client.ask("/health/detailed", host=host)).status == 200


async def test_a_second_host_header_does_not_hide_behind_the_first() -> None:
    async with serving("db") as client:
        raw = await client.send(
            b"GET /health/detailed HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n"
        )
    assert raw.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))


async def test_a_proxy_that_asks_as_nginx_does_is_not_this_machine() -> None:
    """HTTP/1.0, the Host of its target, and no word of the client it asks for."""
    async with serving("db") as client:
        request = f"GET /metrics HTTP/1.0\r\nHost: {client.address}\r\nConnection: close\r\n\r\n"
        assert (await client.send(request.encode())).startswith(b"HTTP/1.1 403 ")


async def test_a_client_of_http_1_0_names_no_host_and_is_still_local() -> None:
    async with serving("db") as client:
        assert (await client.send(b"GET /metrics HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", f"Token {TOKEN}", TOKEN, f"Bearer {TOKEN} ", "Basic !", "Basic Og==", "Bearer é"],
)
async def test_odd_authorizations_open_nothing(authorization: str) -> None:
    async with serving("db", **WITH_TOKEN) as client:
        reply = await client.ask("/metrics", authorization=authorization)
    assert reply.status == (200 if authorization.strip() == f"Bearer {TOKEN}" else 401)


async def test_two_authorizations_are_none() -> None:
    async with serving("db", **WITH_TOKEN) as client:
        lines = b"Authorization: Bearer wrong\r\nAuthorization: Bearer " + TOKEN.encode()
        raw = await client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + lines + b"\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 401 ")


async def test_the_token_is_also_the_password_of_basic_auth() -> None:
    async with serving("db", **WITH_TOKEN) as client:
        good, bad = (base64.b64encode(f"any:{word}".encode()).decode() for word in (TOKEN, "wrong"))
        assert (await client.ask("/metrics", authorization=f"Basic {good}")).status == 200
        assert (await client.ask("/metrics", authorization=f"Basic {bad}")).status == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_foreign_page_cannot_make_a_browser_run_checks(origin: str) -> None:
    async with serving("db") as client:
        reply = await client.ask("/health/checks/db/run", "POST", origin=origin)
        own = await client.ask("/health/checks/db/run", "POST", origin=f"http://{client.address}")
    assert (reply.status, own.status, client.served.ran) == (403, 200, ["db"])


async def test_an_allowed_network_may_read_but_not_act() -> None:
    async with serving("db", allow=["127.0.0.0/8"], **WITH_TOKEN) as client:
        assert (await client.ask("/health/detailed", host="agent.example")).status == 200
        assert (await client.ask("/health/detailed", forwarded="for=127.0.0.1")).status == 401
        assert (await client.ask("/health/checks/db/run", "POST")).status == 401


def scope(client: tuple[str, int] | None) -> dict[str, Any]:
    headers = [(b"host", b"127.0.0.1")]
    return {"type": "http", "path": "/metrics", "root_path": "", "method": "GET", "headers": headers, "client": client}


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        ("127.0.0.1", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("203.0.113.9", 403),
        ("::ffff:203.0.113.9", 403),
        ("fe80::1%eth0", 403),
        (None, 403),
    ],
)
async def test_only_a_loopback_peer_is_this_machine(peer: str | None, code: int) -> None:
    codes: list[int] = []

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            codes.append(int(str(message["status"])))

    async def app(_scope: object, _receive: object, _send: object) -> None:
        codes.append(200)

    await Guard(app, settings())(scope((peer, 1) if peer else None), None, send)  # type: ignore[arg-type]  # never received
    assert codes == [code]


async def test_tokens_stand_in_no_answer_and_no_representation() -> None:
    chosen = settings(**WITH_TOKEN)
    assert TOKEN not in repr(chosen)
    assert TOKEN not in chosen.model_dump_json()
    async with serving("db", **WITH_TOKEN) as client:
        assert TOKEN not in await everything(client)


async def everything(client: Client) -> str:
    replies = [await client.ask(path, authorization=f"Bearer {TOKEN}") for path in (*PUBLIC, *PROTECTED)]
    return "".join(str(reply) for reply in replies)
