"""The route template of a request, from what its framework left in the scope; never a raw path."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import BaseRoute, Mount
from starlette.types import Scope

KEY = "otelhealth.route"  # where `follow_quart` leaves a template
_MOST = 1024  # remembered prefixes, and endpoints
_REST = "/{path}"


class Routes:
    """Of one application; remembers what it had to search for."""

    def __init__(self) -> None:
        self._prefixes: dict[tuple[int, str], str] = {}
        self._endpoints: dict[int, tuple[BaseRoute, ...]] = {}

    def template(self, scope: Scope) -> str | None:
        """The template of the route that took the request, with the root and the mounts above it; None without one."""
        found = scope.get(KEY) or scope.get("path_template")  # Quart; Litestar
        if found is None:
            route = scope.get("route") or self._by_endpoint(scope)
            if isinstance(route, Mount):  # whatever it holds knew no route; the root path has its own part already
                found = _REST
            else:
                found = _included(scope, route) or getattr(route, "path_format", None)
        return None if found is None else self._prefix(scope) + str(found) or "/"

    def _prefix(self, scope: Scope) -> str:
        """The root path, with the templates of mounts for what they matched."""
        root: str = scope.get("root_path", "").rstrip("/")
        outer = scope.get("app_root_path")  # Starlette's note of the root path above all mounts
        if outer is None or not root:
            return root
        router, mounted = scope.get("router"), root[len(outer.rstrip("/")) :]
        key = (id(router), mounted)
        if key not in self._prefixes:
            if len(self._prefixes) >= _MOST:  # a mount with a parameter: there is no end to them
                self._prefixes.clear()
            self._prefixes[key] = _mounts(getattr(router, "routes", ()), mounted) or ""
        return f"{outer.rstrip('/')}{self._prefixes[key]}"

    def _by_endpoint(self, scope: Scope) -> BaseRoute | None:
        """Older versions of Starlette, and FastAPI for what is no API route, tell the endpoint only."""
        endpoint = scope.get("endpoint")
        if endpoint is None:
            return None
        found = self._endpoints.get(id(endpoint))
        if found is None:
            every = _walk(getattr(scope.get("router"), "routes", ()))
            found = tuple(route for route in every if _leads_to(route, endpoint))
            if len(self._endpoints) < _MOST:
                self._endpoints[id(endpoint)] = found
        if len(found) < 2:
            return found[0] if found else None
        path = scope["path"][len(scope.get("root_path", "").rstrip("/")) :]
        return next((route for route in found if _matches(route, path)), None)


def _included(scope: Scope, route: object) -> str | None:
    """FastAPI's template of a route in an included router: since 0.165 the route itself lacks the router's prefix."""
    told = scope.get("fastapi")
    context = told.get("effective_route_context") if isinstance(told, dict) else None
    if context is None or getattr(context, "original_route", None) is not route:
        return None
    return getattr(context, "path_format", None)


def _walk(routes: Iterable[Any]) -> Iterator[BaseRoute]:
    for route in routes:
        yield route
        yield from _walk(getattr(route, "routes", ()))


def _leads_to(route: BaseRoute, endpoint: object) -> bool:
    return getattr(route, "app" if isinstance(route, Mount) else "endpoint", None) is endpoint


def _matches(route: BaseRoute, path: str) -> bool:
    pattern = getattr(route, "path_regex", None)
    return pattern is not None and pattern.match(path) is not None


def _mounts(routes: Iterable[Any], path: str) -> str | None:
    """The templates of the mounts, each in the one before, that together matched `path`; None where none do."""
    for route in routes:
        if isinstance(route, Mount):
            match = route.path_regex.match(f"{path}/")
            if match is None:
                continue
            rest = f"/{match['path']}".rstrip("/")
            below = _mounts(route.routes, rest) if rest else ""
            if below is not None:
                return route.path + below
        elif (below := _mounts(getattr(route, "routes", ()), path)) is not None:  # a host
            return below
    return None


def follow_quart() -> None:
    """Quart keeps its route to itself; its signals tell it. Does nothing where no Quart is imported."""
    if "quart" not in sys.modules:
        return
    from quart import request_started, websocket_started  # noqa: PLC0415 - there only where the application uses it

    request_started.connect(_note_request)
    websocket_started.connect(_note_websocket)


async def _note_request(_app: object, **_: object) -> None:
    from quart import request  # noqa: PLC0415 - as above

    if request.url_rule is not None:
        _note(request.scope, request.url_rule.rule)


async def _note_websocket(_app: object, **_: object) -> None:
    from quart import websocket  # noqa: PLC0415 - as above

    if websocket.url_rule is not None:
        _note(websocket.scope, websocket.url_rule.rule)


def _note(scope: Any, template: str) -> None:
    scope[KEY] = template
