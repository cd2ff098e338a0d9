"""The OpenAPI document against the answers that come."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from otelhealth.errors import OtelHealthError, TooOftenError
from otelhealth.model import ServiceStatus
from otelhealth.server.app import OPERATIONS
from otelhealth.server.openapi import document
from tests.server.agent import serving

CLOSED = {"additionalProperties": False}


def validator(path: str, code: int, *, method: str = "get", media: str = "application/json") -> Draft202012Validator:
    """Of one answer; with nothing allowed that the document does not name."""
    whole = document(OPERATIONS)
    for definition in whole["components"]["schemas"].values():
        definition.update(CLOSED)
    schema: dict[str, Any] = whole["paths"][path][method]["responses"][str(code)]["content"][media]["schema"]
    return Draft202012Validator(schema | {"components": whole["components"]})


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/health", ServiceStatus.HEALTHY, 200),
        ("/health", ServiceStatus.CRITICAL, 503),
        ("/health/live", ServiceStatus.HEALTHY, 200),
        ("/health/ready", ServiceStatus.HEALTHY, 200),
        ("/health/startup", ServiceStatus.HEALTHY, 200),
        ("/health/detailed", ServiceStatus.HEALTHY, 200),
        ("/health/detailed", ServiceStatus.UNHEALTHY, 503),
        ("/health/checks/{name}", ServiceStatus.HEALTHY, 200),
        ("/health/checks/{name}/history", ServiceStatus.HEALTHY, 200),
        ("/openapi.json", ServiceStatus.HEALTHY, 200),
    ],
)
async def test_an_answer_is_what_the_document_says(path: str, status: ServiceStatus, code: int) -> None:
    async with serving("db", "api") as client:
        client.served.change(status=status, starting=status is ServiceStatus.CRITICAL)
        reply = await client.ask(path.replace("{name}", "db"))
    assert reply.status == code
    validator(path, code).validate(reply.json)


async def test_a_run_and_its_refusals_are_what_the_document_says() -> None:
    path = "/health/checks/{name}/run"
    refusals = {429: TooOftenError("runs come too often", "wait", 1.0), 503: OtelHealthError("it has stopped")}
    async with serving("db") as client:
        for name, code in (("db", 200), ("db", 429), ("db", 503), ("nope", 404)):
            client.served.refusal = refusals.get(code)
            reply = await client.ask(path.replace("{name}", name), "POST")
            assert reply.status == code
            validator(path, code, method="post").validate(reply.json)


async def test_a_refused_client_reads_what_the_document_says() -> None:
    async with serving("db") as client:
        reply = await client.ask("/health/detailed", via="1.1 proxy")
    validator("/health/detailed", 403).validate(reply.json)


def test_the_document_is_closed_over_its_references_and_tells_optional_from_required() -> None:
    whole = document(OPERATIONS)
    schemas = whole["components"]["schemas"]
    Draft202012Validator.check_schema(whole["components"])
    assert set(schemas["BriefReport"]["required"]) == {"status", "timestamp", "uptime_seconds", "service", "version"}
    assert schemas["CheckRecord"]["properties"]["last_success"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}


@pytest.mark.parametrize("wrong", [{"uptime_seconds": 1.5}, {"status": None}, {"unknown_field": 1}])
async def test_the_validation_would_notice_a_wrong_type(wrong: dict[str, Any]) -> None:
    async with serving() as client:
        right = (await client.ask("/health")).json
    assert list(validator("/health", 200).iter_errors(right | wrong))
