"""`/openapi.json`: all of it, with schemas made from the types that the responses have, so that they cannot drift."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import (
    Any,
    Literal,
    NamedTuple,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from starlette.types import Receive, Scope, Send

from otelhealth.clock import Clock
from otelhealth.model import Served
from otelhealth.records import ErrorReport
from otelhealth.server.health import MOST_RUNS
from otelhealth.server.responses import HEALTH_JSON, JSON, Response, encode
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


class Operation(NamedTuple):
    """One path: who answers, with what, and with which status codes."""

    path: str
    endpoint: Callable[[Served, Clock], Any]  # makes what Starlette routes to
    response: type
    summary: str
    codes: tuple[int, ...] = (200,)  # of `response`
    refusals: tuple[int, ...] = ()
    media: tuple[bytes, ...] = (JSON, HEALTH_JSON)  # of `response`
    method: Literal["GET", "POST"] = "GET"
    parameters: tuple[str, ...] = ()
    public: bool = False


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
        assert origin in (Union, types.UnionType), origin  # noqa: S101 - no response is made of anything else
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


def _described(operation: Operation, schemas: Schemas) -> dict[str, Any]:
    refusals = operation.refusals if operation.public else (*operation.refusals, 401, 403)
    contents = dict.fromkeys(operation.codes, (operation.media, operation.response))
    contents |= dict.fromkeys(refusals, ((JSON,), ErrorReport))
    described: dict[str, Any] = {
        "summary": operation.summary,
        "responses": {
            str(code): {
                "description": _REASONS[code],
                "content": {kind.decode().partition(";")[0]: {"schema": schemas.of(response)} for kind in media},
            }
            for code, (media, response) in sorted(contents.items())
        },
        "security": [] if operation.public else [{"token": []}, {"password": []}, {}],
    }
    parameters = [{"name": name} | _PARAMETERS[name] for name in operation.parameters]
    return described | ({"parameters": parameters} if parameters else {})


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    schemas = Schemas()
    paths = {each.path: {each.method.lower(): _described(each, schemas)} for each in operations}
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

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = operations
        self._response: Response | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._response = self._response or Response(200, encode(document(self._operations)))
        await self._response(scope, receive, send)
