"""Settings and one run: what the tests of HTTP share."""

from __future__ import annotations

from typing import Any

from otelhealth.kinds.http import HttpCheck
from otelhealth.model import CheckResult
from tests.kinds.loopback import Bench, answering, serving


def check(port: int, path: str = "/", **fields: Any) -> HttpCheck:
    return HttpCheck.model_validate({"name": "api", "url": f"http://127.0.0.1:{port}{path}", **fields})


async def seen(answer: bytes, **fields: Any) -> CheckResult:
    handler, _ = answering(answer)
    async with serving(handler) as port:
        return await Bench().probe(check(port, **fields))
