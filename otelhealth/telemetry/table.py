"""The users' table of all that leaves the agent, made from what the kinds and names.py declare.

`python -m otelhealth.telemetry.table docs/telemetry.md` writes it between the marks of that file.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from otelhealth.checks.registry import all_kinds
from otelhealth.errors import OtelHealthError
from otelhealth.telemetry import application, names, runtime
from otelhealth.telemetry.bound import metric_of
from otelhealth.telemetry.metric import Metric, Record


def metrics() -> list[Metric]:
    """The agent's own metrics, then those of the kinds by name; OtelHealthError where two declare one differently."""
    own = {metric.name: metric for metric in (*names.METRICS, *runtime.METRICS)}
    found, kinds = dict(own), defaultdict[str, list[str]](list)
    for kind, check in all_kinds().items():
        for metric in (metric_of(quantity) for quantity in check.quantities if quantity.metric):
            known = found.setdefault(metric.name, metric)
            if (known.unit, known.instrument) != (metric.unit, metric.instrument):
                raise OtelHealthError(f"kind {kind} declares {metric.name} as {metric.instrument} in {metric.unit!r}")
            keys = dict.fromkeys((*known.attributes, *metric.attributes))
            found[metric.name] = known._replace(attributes=tuple(keys))
            kinds[metric.name] += [kind] * (kind not in kinds[metric.name])
    ordered = [*own, *sorted(found.keys() - own)]
    return [found[name]._replace(when=_when(own.get(name), kinds[name])) for name in ordered]


def _when(own: Metric | None, kinds: list[str]) -> str:
    runs = f"each run of {', '.join(kinds)}" if kinds else ""
    return "; ".join(part for part in (own.when if own else "", runs) if part)


def markdown() -> str:
    """The tables of metrics, spans and events."""
    lines = [
        *_metrics("Metrics", metrics()),
        *_records("Spans", names.SPANS),
        *_records("Events", names.EVENTS),
        *_metrics("Metrics of an application", application.METRICS),
        *_records("Spans of an application", application.SPANS),
        *_records("Events of an application", application.EVENTS),
    ]
    return "\n".join([*lines[1:], ""])


def _metrics(title: str, metrics: Iterable[Metric]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| metric | instrument, unit | attributes | when |", "|---|---|---|---|")
    for metric in metrics:
        what = f"`{metric.name}`<br>{metric.description} | {metric.instrument}, {_unit(metric)}"
        yield f"| {what} | {_keys(metric.attributes)} | {metric.when} |"


def _records(title: str, records: Iterable[Record]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| name | what | attributes | when |", "|---|---|---|---|")
    for record in records:
        yield f"| `{record.name}` | {record.description} | {_keys(record.attributes)} | {record.when} |"


def _unit(metric: Metric) -> str:
    return f"`{metric.unit}`" if metric.unit else "no unit"


def _keys(attributes: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in attributes) or "none"


def written(document: str) -> str:
    """`document` with the tables between its marks."""
    before, mark, rest = document.partition("<!-- tables -->\n")
    _, end, after = rest.partition("<!-- end -->")
    return f"{before}{mark}{markdown()}{end}{after}"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(written(Path(name).read_text("utf-8")), "utf-8")
