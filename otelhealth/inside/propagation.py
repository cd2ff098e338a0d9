"""The trace that a caller began: read from the headers of an ASGI scope by the process's propagators."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import context as otel_context
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, TextMapPropagator

Headers = Sequence[tuple[bytes, bytes]]


class _HeaderGetter(Getter[Headers]):
    def get(self, carrier: Headers, key: str) -> list[str] | None:
        wanted = key.lower().encode("latin-1")
        found = [value.decode("latin-1") for name, value in carrier if name == wanted]
        return [",".join(found)] if len(found) > 1 else found or None  # some propagators look at the first alone

    def keys(self, carrier: Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


class Propagation:
    """Knows which headers the propagators look for: a request without any of them costs nothing."""

    def __init__(self) -> None:
        self._getter = _HeaderGetter()
        self._propagator: TextMapPropagator | None = None
        self._fields: frozenset[bytes] = frozenset()

    def read(self, headers: Headers) -> tuple[bytes, bytes, bool]:
        """Host, User-Agent, and whether a propagator has something to read."""
        propagator = propagate.get_global_textmap()
        if propagator is not self._propagator:
            self._propagator = propagator
            self._fields = frozenset(name.lower().encode("latin-1") for name in propagator.fields)
        host = agent = b""
        traced = False
        for name, value in headers:
            if name == b"host":
                host = value
            elif name == b"user-agent":
                agent = value
            elif name in self._fields:
                traced = True
        return host, agent, traced

    def extract(self, headers: Headers) -> Context:
        """The current context with what the headers say."""
        return propagate.extract(headers, otel_context.get_current(), self._getter)
