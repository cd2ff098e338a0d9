"""Names as Prometheus' own OTLP receiver makes them (prometheus/otlptranslator), so that both ways carry the same."""

from __future__ import annotations

import re
from functools import lru_cache

_UNITS = dict(
    pair.split("=")
    for pair in (  # noqa: SIM905 - a table reads better than a hundred quotes
        "d=days h=hours min=minutes s=seconds ms=milliseconds us=microseconds ns=nanoseconds "
        "By=bytes KiBy=kibibytes MiBy=mebibytes GiBy=gibibytes TiBy=tibibytes "
        "KBy=kilobytes MBy=megabytes GBy=gigabytes TBy=terabytes "
        "m=meters V=volts A=amperes J=joules W=watts g=grams Cel=celsius Hz=hertz 1= %=percent"
    ).split(" ")
)
_PER = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_NO_NAME = re.compile(r"[^a-zA-Z0-9:]+")
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")


def _plain(unit: str, known: dict[str, str]) -> str:
    unit = unit.strip()
    if "{" in unit or "}" in unit:  # an annotation counts things; it is no unit
        return ""
    return _NO_NAME.sub("_", known.get(unit, unit)).removeprefix("_")


def _unit_words(unit: str) -> tuple[str, str]:
    main, _, per = unit.partition("/")
    per = _plain(per, _PER).removesuffix("_")
    return _plain(main, _UNITS), f"per_{per}" if per else ""


@lru_cache(maxsize=4096)
def metric_name(name: str, unit: str, kind: str) -> str:
    """`otelhealth.check.duration`, `s`, `histogram` -> `otelhealth_check_duration_seconds`."""
    words = [word for word in _NO_NAME.split(name) if word]
    main, per = _unit_words(unit)
    main = "" if main in words else main
    per = "" if per in words else per
    if per:
        main = main.removesuffix("_")
    words += [word for word in (main, per) if word]
    last = "total" if kind == "counter" else "ratio" if kind == "gauge" and unit == "1" else ""
    if last:
        words = [word for word in words if word != last] + [last]
    joined = "_".join(words)
    return f"_{joined}" if joined[:1].isdigit() else joined


@lru_cache(maxsize=4096)
def label_name(key: str) -> str:
    """`http.request.method` -> `http_request_method`; as with Prometheus' own settings, underscores are kept."""
    clean = _NO_LABEL.sub("_", key)
    if clean[:1].isdigit():
        return f"key_{clean}"
    return f"key{clean}" if clean.startswith("_") and not clean.startswith("__") else clean
