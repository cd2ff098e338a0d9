"""An agent that takes OTLP, in this process, and a client of it on plain sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otelhealth import Agent
from otelhealth.address import Address
from tests.server.agent import Plain, Reply

PROTOBUF, JSON = "application/x-protobuf", "application/json"


@dataclass
class Taking(Plain):
    """Speaks to the receiver of `agent`."""

    agent: Agent

    async def post(self, signal: str, body: bytes, content_type: str = PROTOBUF, **headers: str) -> Reply:
        return await self.ask(f"/v1/{signal}", "POST", body, content_type=content_type, **headers)

    @property
    def record(self) -> dict[str, Any]:
        return dict(self.agent.report()["agent"]["receiver"])

    @property
    def requests(self) -> int:
        """The application's, as `performance` tells them."""
        return self.agent.report()["performance"]["requests"]


@asynccontextmanager
async def taking(folder: Path, endpoint: str | None = None, **told: Any) -> AsyncIterator[Taking]:
    """`told` is of `telemetry`, but for `auth` and `limits`; what it forwards goes to `endpoint`."""
    receive = {"listen": told.pop("listen", "127.0.0.1:0"), "limits": told.pop("limits", {})}
    config = {
        "service": {"name": "shop"},
        "server": {"listen": "127.0.0.1:0", "auth": told.pop("auth", {})},
        "store": {"path": str(folder / "store.db")},
        "telemetry": {"otlp": {"endpoint": endpoint, **told.pop("otlp", {})}, "receive": receive, **told},
        "checks": {},
    }
    async with Agent(config) as agent:
        yield Taking(Address.parse(agent.receiver.removeprefix("http://")), agent)


def status_of(reply: Reply) -> dict[str, Any]:
    """The google.rpc.Status of a refusal, in whichever encoding."""
    if reply.headers["content-type"] == JSON:
        return dict(json.loads(reply.body))
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # its stubs are another package

    found = Status.FromString(reply.body)
    return {"code": found.code, "message": found.message}
