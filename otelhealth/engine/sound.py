"""Makes a result fit for all who tell it: whatever a user's function or a target put into it, it can be written.

State, store, OTLP, JSON and `/metrics` rely on the types that `model.CheckResult` names, and none of them looks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from otelhealth.model import NO_DETAILS, CheckResult, Measurement, Status
from otelhealth.plain import line, mapping
from otelhealth.redaction import Redactor

_MESSAGE, _TYPE, _NAME = 2_000, 100, 200  # characters
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
        message=line(result.message, _MESSAGE),
        error_type=None if kind is None else line(kind, _TYPE),
        measurements=tuple(map(_measurement, _some(result.measurements, _MEASUREMENTS))),
        details=mapping(result.details, 1) if result.details else {},
        log=tuple(line(each, _MESSAGE) for each in _some(result.log, _LINES)),
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


def _some(values: Iterable[Any], most: int) -> Iterable[Any]:
    if not isinstance(values, (tuple, list)):
        raise TypeError(f"a {type(values).__name__} where a tuple belongs")
    return values[:most]


def _measurement(one: object) -> Measurement:
    if not isinstance(one, Measurement):
        raise TypeError(f"a {type(one).__name__} where a Measurement belongs")
    attributes = tuple((line(key, _NAME), line(text, _NAME)) for key, text in one.attributes)
    return one._replace(
        name=line(one.name, _NAME),
        value=float(one.value),
        unit=line(one.unit, _NAME),
        attributes=attributes,
        status=Status(one.status),
        label=line(one.label, _NAME),
    )
