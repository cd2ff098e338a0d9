"""`/openapi.json`: all of it, with schemas made from the types that the answers have, so that they cannot drift."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import (
    Any,
    Literal,
    NotRequired,
    TypedDict,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from starlette.types import Receive, Scope, Send

from otelhealth.records import BriefReport, CheckRecord, ErrorReport, GroupReport, HealthReport, History, LiveReport
from otelhealth.server.answers import Answer, encode
from otelhealth.server.auth import PUBLIC
from otelhealth.server.health import MOST_RUNS
from otelhealth.version import __version__

_PLAIN: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
}
_DEFINED = "#/components/schemas/"


class Operation(TypedDict):
    """One path: what it is, what it answers, and with which status codes."""

    summary: str
    schema: type | None
    codes: tuple[int, ...]
    method: NotRequired[Literal["get", "post"]]
    parameters: NotRequired[tuple[str, ...]]


OPERATIONS: Mapping[str, Operation] = {
    "/health": {
        "summary": "State of the service: 200 when healthy or degraded, else 503.",
        "schema": BriefReport,
        "codes": (200, 503),
    },
    "/health/live": {
        "summary": "Whether this process works; never looks outside it.",
        "schema": LiveReport,
        "codes": (200, 503),
    },
    "/health/ready": {
        "summary": "Whether the checks of the `ready` group let requests come.",
        "schema": GroupReport,
        "codes": (200, 503),
    },
    "/health/startup": {
        "summary": "Whether the checks of the `startup` group have passed.",
        "schema": GroupReport,
        "codes": (200, 503),
    },
    "/health/detailed": {
        "summary": "All checks, performance, summary and score; status code as `/health`.",
        "schema": HealthReport,
        "codes": (200, 503),
    },
    "/health/checks/{name}": {
        "summary": "One check.",
        "schema": CheckRecord,
        "codes": (200, 404),
        "parameters": ("name",),
    },
    "/health/checks/{name}/history": {
        "summary": "Its past runs and state changes, newest first.",
        "schema": History,
        "codes": (200, 400, 404, 503),
        "parameters": ("name", "since", "limit"),
    },
    "/health/checks/{name}/run": {
        "summary": "Run it now; answers with its record after that run.",
        "schema": CheckRecord,
        "codes": (200, 404, 409, 429, 503),
        "method": "post",
        "parameters": ("name",),
    },
    "/metrics": {
        "summary": "Prometheus text, or OpenMetrics with exemplars where Accept asks.",
        "schema": None,
        "codes": (200,),
    },
    "/openapi.json": {"summary": "This document.", "schema": dict, "codes": (200,)},
}

_PARAMETERS: dict[str, dict[str, Any]] = {
    "name": {"in": "path", "required": True, "schema": {"type": "string"}, "description": "Key under `checks`."},
    "since": {
        "in": "query",
        "schema": {"type": "string", "default": "0"},
        "description": "Unix seconds, or a duration such as `1h` that reaches back from now.",
    },
    "limit": {
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST_RUNS, "default": 100},
        "description": "At most so many runs, the newest.",
    },
}


class Schemas:
    """JSON schemas of types; each TypedDict becomes one definition, named after it."""

    def __init__(self) -> None:
        self.defined: dict[str, dict[str, Any]] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        if is_typeddict(kind):
            return self._define(kind)
        if kind is Any:
            return {}
        return {"type": _PLAIN[kind]} if kind in _PLAIN else self._of_several(get_origin(kind), get_args(kind))

    def _of_several(self, origin: Any, arguments: tuple[Any, ...]) -> dict[str, Any]:
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is NotRequired:
            return self.of(arguments[0])
        assert origin in (Union, types.UnionType), origin  # noqa: S101 - no answer is made of anything else
        return {"anyOf": [self.of(argument) for argument in arguments]}

    def _define(self, kind: Any) -> dict[str, Any]:
        if kind.__name__ not in self.defined:
            self.defined[kind.__name__] = {}  # before its fields, which may name it
            hints = get_type_hints(kind, include_extras=True)
            self.defined[kind.__name__] = {
                "type": "object",
                "properties": {name: self.of(hint) for name, hint in hints.items()},
                # not __required_keys__, which overlooks NotRequired in annotations that are still text
                "required": [name for name, hint in hints.items() if get_origin(hint) is not NotRequired],
            } | ({"description": kind.__doc__} if kind.__doc__ else {})
        return {"$ref": _DEFINED + kind.__name__}


_REASONS = {
    200: "As asked.",
    400: "A parameter is wrong.",
    401: "No token, or not one of this agent's.",
    403: "No token is configured and the client is not on this machine, or a foreign page asks.",
    404: "There is no such check.",
    409: "The check is disabled.",
    429: "Too many runs on demand; Retry-After says when.",
    503: "As asked, and not well; of a history: the store cannot be read; of a run: nobody can run it now.",
}


def _content(path: str, schema: dict[str, Any], code: int) -> dict[str, Any]:
    if path == "/metrics" and code == 200:
        return {media: {"schema": {"type": "string"}} for media in ("text/plain", "application/openmetrics-text")}
    media = ["application/json"]
    if path.startswith("/health") and not path.endswith("/history") and code in (200, 503):
        media.append("application/health+json")
    return {name: {"schema": schema} for name in media}


def _operation(path: str, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.of(operation["schema"]) if operation["schema"] else {}
    error = schemas.of(ErrorReport)
    told = (200,) if path.endswith(("/history", "/run")) else (200, 503)
    codes = operation["codes"] if path in PUBLIC else (*operation["codes"], 401, 403)
    described: dict[str, Any] = {
        "summary": operation["summary"],
        "responses": {
            str(code): {
                "description": _REASONS[code],
                "content": _content(path, schema if code in told else error, code),
            }
            for code in sorted(codes)
        },
        "security": [] if path in PUBLIC else [{"token": []}, {"password": []}, {}],
    }
    parameters = [{"name": name} | _PARAMETERS[name] for name in operation.get("parameters", ())]
    return described | ({"parameters": parameters} if parameters else {})


def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    schemas = Schemas()
    paths = {
        path: {operation.get("method", "get"): _operation(path, operation, schemas)}
        for path, operation in OPERATIONS.items()
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "otelhealth", "version": __version__, "summary": "The health of a service."},
        "paths": paths,
        "components": {
            "schemas": schemas.defined,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic", "description": "Any user; the token as password."},
            },
        },
    }


class Document:
    """The endpoint; the document is made when it is first asked for."""

    def __init__(self) -> None:
        self._answer: Answer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._answer = self._answer or Answer(200, encode(document()))
        await self._answer(scope, receive, send)
