"""Makes a result fit for all who tell it: whatever a user's function or a target put into it, it can be written.

State, store, OTLP, JSON and `/metrics` rely on the types that `model.CheckResult` names, and none of them looks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from otelhealth.errors import one_line
from otelhealth.model import NO_DETAILS, CheckResult, Measurement, Status
from otelhealth.redaction import Redactor

_MESSAGE, _TYPE, _NAME, _TEXT = 2_000, 100, 200, 2_000  # characters
_DEPTH, _ITEMS = 6, 200  # of details, and of each list or mapping in them
_MEASUREMENTS, _LINES = 10_000, 100
_MOST_KNOWN = 4096
_known: set[tuple[object, ...]] = set()  # names, units, labels and attributes found to be lines


def sound(result: CheckResult) -> CheckResult:
    """`result` with every text one bounded line and details of plain data.

    Raises where it is none of a run (a strange status, a measurement without a number): TypeError, ValueError, or
    whatever a user's objects raise when they are read.
    """
    if _is_sound(result):  # as a rule: a tenth of the time that making a new one takes
        return result
    kind = result.error_type
    return result._replace(
        status=Status(result.status),
        message=_line(result.message, _MESSAGE),
        error_type=None if kind is None else _line(kind, _TYPE),
        measurements=tuple(map(_measurement, _some(result.measurements, _MEASUREMENTS))),
        details=_mapping(result.details, 1) if result.details else {},
        log=tuple(_line(line, _MESSAGE) for line in _some(result.log, _LINES)),
    )


def told_by(result: CheckResult, redact: Redactor) -> CheckResult:
    """`result` without secrets: the same one where it holds none, as a rule."""
    if not redact or _is_clean(result, redact):
        return result
    measurements = tuple(
        one._replace(name=redact(one.name), label=redact(one.label), attributes=redact.value(one.attributes))
        for one in result.measurements
    )
    return result._replace(
        message=redact(result.message),
        error_type=None if result.error_type is None else redact(result.error_type),
        measurements=measurements,
        details=redact.value(result.details),
        log=redact.value(result.log),
    )


def _is_clean(result: CheckResult, redact: Redactor) -> bool:
    if redact(result.message) != result.message:
        return False
    if not redact.is_clean((result.error_type, *result.details, *result.details.values(), *result.log)):
        return False
    clean = redact.clean
    for one in result.measurements:  # with the same texts from run to run
        texts = (one.name, one.label, one.attributes)
        if texts not in clean and not redact.is_clean((texts,)):
            return False
    return True


def _is_sound(result: CheckResult) -> bool:
    details, kind = result.details, result.error_type
    return (
        not result.log
        and type(result.status) is Status
        and _is_line(result.message)
        and (kind is None or _is_line(kind))
        and type(result.measurements) is tuple
        and all(map(_is_sound_measurement, result.measurements))
        and (details is NO_DETAILS or (type(details) is dict and _is_flat(details)))
    )


def _is_flat(details: Mapping[str, object]) -> bool:
    return all(type(key) is str and (type(value) is int or _is_line(value)) for key, value in details.items())


def _is_sound_measurement(one: Measurement) -> bool:
    if type(one) is not Measurement or type(one.value) is not float or type(one.status) is not Status:
        return False
    texts = (one.name, one.unit, one.label, one.attributes)  # the same from run to run
    try:
        return texts in _known or _are_lines(*texts)
    except TypeError:  # attributes that are no tuples of texts
        return False


def _are_lines(name: object, unit: object, label: object, attributes: Iterable[tuple[object, object]]) -> bool:
    if not (_is_line(name) and _is_line(unit) and _is_line(label)):
        return False
    if not all(_is_line(key) and _is_line(text) for key, text in attributes):
        return False
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known.add((name, unit, label, attributes))
    return True


def _is_line(text: object) -> bool:
    return type(text) is str and len(text) <= _TYPE and text.isprintable()


def _line(value: object, most: int) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= most and text.isprintable() else one_line(text, most)


def _some(values: Iterable[Any], most: int) -> Iterable[Any]:
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"a {type(values).__name__} where a tuple belongs")
    return values[:most]


def _measurement(one: object) -> Measurement:
    if not isinstance(one, Measurement):
        raise TypeError(f"a {type(one).__name__} where a Measurement belongs")
    attributes = tuple((_line(key, _NAME), _line(text, _NAME)) for key, text in one.attributes)
    return one._replace(
        name=_line(one.name, _NAME),
        value=float(one.value),
        unit=_line(one.unit, _NAME),
        attributes=attributes,
        status=Status(one.status),
        label=_line(one.label, _NAME),
    )


def _mapping(values: object, depth: int) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise TypeError(f"details that are a {type(values).__name__}")
    return {_line(key, _NAME): _plain(value, depth) for key, value in list(values.items())[:_ITEMS]}


def _plain(value: object, depth: int) -> Any:
    """As JSON knows it; what lies too deep, or in itself, ends in an ellipsis."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else "a number of more than 64 bits"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if depth >= _DEPTH:
            return "..."
        if isinstance(value, Mapping):
            return _mapping(value, depth + 1)
        return [_plain(item, depth + 1) for item in list(value)[:_ITEMS]]
    return _line(value, _TEXT)
