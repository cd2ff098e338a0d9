"""A record is one line whatever it holds: text that forges nothing, JSON that the strictest reader takes."""

from __future__ import annotations

import logging
import logging.config
import math
import sys
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otelhealth.logs import JsonFormatter, TextFormatter
from otelhealth.redaction import Redactor
from tests.logs.records import record, strictly

RESOURCE = {"service.name": "shop", "service.version": "1.4.2", "telemetry.sdk.name": "otelhealth"}
JSON = JsonFormatter(RESOURCE)
TEXT = TextFormatter()
_anything = st.text(st.characters(codec=None, categories=None), max_size=60)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _anything | st.binary(max_size=9) | st.builds(object),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_anything, inner, max_size=4) | st.tuples(inner),
    max_leaves=12,
)


def raised(error: BaseException) -> Any:
    try:
        _raise(error)
    except BaseException:  # noqa: BLE001 - handed back
        return sys.exc_info()


def _raise(error: BaseException) -> NoReturn:
    raise error


def test_a_line_of_json_holds_these_fields() -> None:
    told = strictly(JSON.format(record("paid %d by %s", 3, "card", level=logging.WARNING, order="o-1")))
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "level": "WARN",
        "logger": "shop.cart",
        "message": "paid 3 by card",
        "attributes": {
            "code.file.path": "/shop/cart.py",
            "code.function.name": "pay",
            "code.line.number": 7,
            "order": "o-1",
        },
        "resource": {"service.name": "shop", "service.version": "1.4.2"},
    }


def test_the_time_is_that_of_the_record_in_utc() -> None:
    made = record("x")
    made.created = 1_700_000_000.25
    assert strictly(JSON.format(made))["timestamp"] == "2023-11-14T22:13:20.250000Z"


@pytest.mark.parametrize(
    ("level", "name"),
    [(5, "TRACE"), (10, "DEBUG"), (20, "INFO"), (25, "INFO"), (30, "WARN"), (40, "ERROR"), (50, "FATAL")],
)
def test_levels_have_the_short_names_of_the_log_data_model(level: int, name: str) -> None:
    assert strictly(JSON.format(record("x", level=level)))["level"] == name


def test_a_record_made_in_a_span_carries_its_ids() -> None:
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("pay") as span:
        told = strictly(JSON.format(record("x")))
        context = span.get_span_context()
    assert (told["trace_id"], told["span_id"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert told["trace_flags"] == f"{context.trace_flags:02x}"
    assert "trace_id" not in strictly(JSON.format(record("x")))


def test_ids_that_a_record_brings_go_before_those_of_the_current_span() -> None:
    ids: dict[str, Any] = {
        "otelTraceID": "a" * 32,
        "otelSpanID": "b" * 16,
        "otelTraceSampled": False,
        "otelServiceName": "shop",
    }
    current = NonRecordingSpan(SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(current):
        told = strictly(JSON.format(record("x", **ids)))
        own = strictly(JSON.format(record("x", trace_id="c" * 32, span_id="d" * 16)))
        none = strictly(JSON.format(record("x", otelTraceID="0" * 32)))
    assert (told["trace_id"], told["span_id"], told["trace_flags"]) == ("a" * 32, "b" * 16, "00")
    assert (own["trace_id"], own["span_id"], own.get("trace_flags")) == ("c" * 32, "d" * 16, None)
    assert none["trace_id"] == f"{1:032x}"
    assert "otelTraceID" not in told["attributes"]


def test_an_exception_stands_in_the_attributes_by_the_conventions_names() -> None:
    told = strictly(JSON.format(record("x", exc_info=raised(LookupError("no such\nitem")))))["attributes"]
    assert (told["exception.type"], told["exception.message"]) == ("LookupError", "no such\nitem")
    assert "raise error" in told["exception.stacktrace"]


@given(_anything, st.dictionaries(_anything, _values, max_size=4))
def test_any_record_is_one_line_of_strict_json(text: str, extra: dict[str, Any]) -> None:
    made = record("%s", text)
    vars(made).update({f"x.{key}": value for key, value in extra.items()})
    told = strictly(JSON.format(made))
    assert told["message"] == text.encode("utf-8", "replace").decode()


@given(_anything, _anything)
def test_any_record_is_one_line_of_text(text: str, name: str) -> None:
    line = TEXT.format(record("%s", text, name=name or "x"))
    assert line.isprintable() or not {"\n", "\r", "\x1b", "\x85", "\u2028"} & set(line)
    assert len(line.splitlines()) == 1
    line.encode()


def test_a_message_cannot_forge_another_line_of_text() -> None:
    line = TEXT.format(record("bad user %s", "x\n2026-01-01 00:00:00,000 ERROR   otelhealth: all is lost\x1b[2J"))
    assert line.endswith(r"bad user x\n2026-01-01 00:00:00,000 ERROR   otelhealth: all is lost\x1b[2J")


def test_a_traceback_follows_its_line_of_text_indented() -> None:
    first, *rest = TEXT.format(record("it broke", exc_info=raised(ValueError("a\rb")))).splitlines()
    assert first.endswith("INFO    shop.cart: it broke")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-1] == "    b"
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("letter", ["a", "é", "\x00", "\U0001f600", "\ud800"])
def test_a_huge_record_is_cut_to_what_fluent_bit_reads(letter: str) -> None:
    huge = letter * 1_000_000
    error = raised(ValueError(huge))
    extra: dict[str, Any] = {f"k{number}": huge for number in range(100)}
    line = JSON.format(record("%s", huge, exc_info=error, **extra))
    assert len(line.encode()) < 32_000
    told = strictly(line)
    assert "more characters" in told["message"]
    assert told["attributes"]["exception.stacktrace"]
    assert len(TEXT.format(record("%s", huge))) < 80_000


def test_numbers_that_json_has_no_word_for_become_texts() -> None:
    told = strictly(JSON.format(record("x", a=math.nan, b=[math.inf], c=2**80, d=b"\xff")))["attributes"]
    assert (told["a"], told["b"], told["d"]) == ("nan", ["inf"], r"b'\xff'")
    assert isinstance(told["c"], str)


def test_secrets_give_way_in_every_part() -> None:
    redact = Redactor(["hunter2-and-more"])
    made = record(
        "a %s b",
        "hunter2-and-more",
        exc_info=raised(ValueError("hunter2-and-more")),
        key="hunter2-and-more",
        deep={"hunter2-and-more": ["hunter2-and-more"]},
        url="http://me:other-secret@host/",
    )
    for line in (JsonFormatter(RESOURCE, redact).format(made), TextFormatter(redact).format(made)):
        assert "hunter2" not in line
        assert "***" in line


def test_a_url_in_a_message_loses_its_user_info() -> None:
    assert "pass" not in JSON.format(record("see http://me:pass@host/x"))


def test_a_program_of_ones_own_names_it_in_its_logging_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.version=2,deployment.environment.name=test")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "cart")
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": "otelhealth.logs.JsonFormatter"}},
            "handlers": {"out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
            "loggers": {"of.mine": {"handlers": ["out"], "level": "INFO", "propagate": False}},
        }
    )
    logging.getLogger("of.mine").info("hello")
    told = strictly(capsys.readouterr().err)
    assert told["message"] == "hello"
    assert told["resource"] == {
        "service.name": "cart",
        "service.version": "2",
        "deployment.environment.name": "test",
    }
