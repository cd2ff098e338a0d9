"""`/metrics`: what the agent would export, as Prometheus text 0.0.4 or, with exemplars, OpenMetrics 1.0."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice

from starlette.types import Receive, Scope, Send

from otelhealth.model import Exemplar, HistogramValue, MetricFamily, MetricPoint, Served
from otelhealth.server.names import label_name, metric_name
from otelhealth.server.responses import Response
from otelhealth.server.together import Together

TEXT = b"text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = b"application/openmetrics-text; version=1.0.0; charset=utf-8"

_TYPES = {"counter": "counter", "updowncounter": "gauge", "gauge": "gauge", "histogram": "histogram"}
_CHUNK = 500  # series written before others get their turn: about a millisecond
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _bound(value: float) -> str:
    """As Prometheus itself writes `le`: always with a point or an exponent."""
    return "+Inf" if math.isinf(value) else repr(float(value))


def _labels(attributes: Iterable[tuple[str, str]]) -> str:
    """`a="1",b="2"`; attributes whose keys become the same label are joined with `;` in the order of their keys."""
    found: dict[str, str] = {}
    for key, value in sorted(attributes):
        name = label_name(key)
        if name.strip("_"):
            found[name] = f"{found[name]};{value}" if name in found else value
    return ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in found.items())


def _braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


class Text:
    """One rendering. Both formats differ in the names of a family, in exemplars and in the end."""

    def __init__(self, *, openmetrics: bool) -> None:
        self.openmetrics = openmetrics

    def lines(self, families: Iterable[MetricFamily], resources: Iterable[Mapping[str, str]]) -> Iterator[str]:
        """Line by line, a family's together; families that share a name and a type are one."""
        named: dict[str, list[MetricFamily]] = {}
        for family in families:
            same = named.setdefault(metric_name(family.name, family.unit, family.type), [])
            if not same or _TYPES[same[0].type] == _TYPES[family.type]:
                same.append(family)
        yield from self._target(resources)
        for name, same in named.items():
            points = [point for family in same for point in family.points]
            if name and points:
                yield from self._family(name, _TYPES[same[0].type], same[0].description, points)
        if self.openmetrics:
            yield "# EOF\n"

    def _target(self, resources: Iterable[Mapping[str, str]]) -> Iterator[str]:
        name, kind = ("target", "info") if self.openmetrics else ("target_info", "gauge")
        yield f"# HELP {name} Target metadata\n# TYPE {name} {kind}\n"
        for resource in resources:
            yield f"target_info{_braces(_labels(resource.items()))} 1\n"

    def _family(self, name: str, kind: str, description: str, points: Sequence[MetricPoint]) -> Iterator[str]:
        titled = name.removesuffix("_total") if self.openmetrics and kind == "counter" else name
        text = description.translate(_ESCAPES if self.openmetrics else _HELP_ESCAPES)
        yield f"# HELP {titled} {text}\n# TYPE {titled} {kind}\n"
        for point in points:
            labels = _labels(point.attributes)
            if isinstance(point.value, HistogramValue):
                yield self._histogram(name, labels, point.value)
            else:
                yield f"{name}{_braces(labels)} {_number(point.value)}\n"

    def _histogram(self, name: str, labels: str, value: HistogramValue) -> str:
        bounds = [*value.bounds, math.inf]
        counts = accumulate(value.counts)
        newest = self._newest(value) if self.openmetrics and value.exemplars else {}
        before = f"{labels}," if labels else ""
        lines = [
            f'{name}_bucket{{{before}le="{_bound(bound)}"}} {count}{newest.get(bound, "")}\n'
            for bound, count in zip(bounds, counts, strict=True)
        ]
        braces = _braces(labels)
        return f"{''.join(lines)}{name}_sum{braces} {_number(value.sum)}\n{name}_count{braces} {sum(value.counts)}\n"

    def _newest(self, value: HistogramValue) -> dict[float, str]:
        """The last exemplar of each bucket, by the bucket's upper bound."""
        found: dict[float, Exemplar] = {}
        for exemplar in sorted((item for item in value.exemplars if item.trace_id), key=lambda item: item.time):
            upper = next((bound for bound in value.bounds if exemplar.value <= bound), math.inf)
            found[upper] = exemplar
        return {
            upper: f' # {{trace_id="{item.trace_id}",span_id="{item.span_id}"}} {_number(item.value)} {item.time:.3f}'
            for upper, item in found.items()
        }


def _wanted(accept: str) -> bool:
    """Whether a client prefers OpenMetrics 1.0 (or any version of it) to plain text, by its Accept header."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        given = dict(piece.partition("=")[::2] for piece in parameters)
        if media in weights and given.get("version", "1.0.0") in ("1.0.0", "0.0.1", "0.0.4"):
            weights[media] = max(weights[media], _weight(given.get("q", "1")))
    return (
        weights["application/openmetrics-text"] > 0 and weights["application/openmetrics-text"] >= weights["text/plain"]
    )


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


class Metrics:
    """The endpoint. Lets others run while it writes: there may be 100,000 series."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._texts = Together(self._text)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        accept = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
        openmetrics = _wanted(accept)
        body = await self._texts.ask(openmetrics)
        await Response(200, body, OPEN_METRICS if openmetrics else TEXT)(scope, receive, send)

    async def _text(self, openmetrics: bool) -> bytes:
        told = await self._served.exposition()
        parts: list[bytes] = []
        lines = Text(openmetrics=openmetrics).lines(told.families, told.resources)
        while chunk := "".join(islice(lines, _CHUNK)):
            parts.append(chunk.encode())
            await asyncio.sleep(0)
        return b"".join(parts)
