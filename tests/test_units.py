from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from otelhealth.units import (
    MEMORY,
    LocalPath,
    duration_text,
    parse_duration,
    parse_share,
    parse_size,
    quantity_text,
    size_text,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("7d", 604800)),
        *(("1m30s", 90), ("1.5h", 5400), ("1h0m1s", 3601), (" 2s ", 2), ("0s", 0)),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "5", "5 s", "-5s", "1y", "5S", "5s5", ".5s", "1e3s", None, [], True, "٣s", "9" * 400 + "s"]
)
def test_anything_else_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write one such as"):
        parse_duration(text)


@pytest.mark.parametrize("number", [30, 1.5])
def test_a_bare_number_is_asked_for_its_unit(number: float) -> None:
    with pytest.raises(ValueError, match=f"a duration needs a unit; write {number}s"):
        parse_duration(number)
    with pytest.raises(ValueError, match=f"a size needs a unit; write {number}B"):
        parse_size(number)


@pytest.mark.parametrize(
    ("text", "count"),
    [("4096B", 4096), ("200MB", 200_000_000), ("1GiB", 2**30), ("1.5 KiB", 1536), ("64MiB", 64 << 20), ("0B", 0)],
)
def test_a_size_is_a_number_with_its_unit(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize(
    "text", ["", "MB", "5", "5mb", "-5MB", "5 apples", "5MB!", None, [], True, "٣MB", "9" * 400 + "MB"]
)
def test_anything_else_is_no_size(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size; write one such as"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "share"), [("85%", 0.85), ("0.85", 0.85), (0.85, 0.85), ("0%", 0), ("100%", 1), (1, 1)]
)
def test_a_share_is_a_percentage_or_a_ratio(text: object, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["120%", "-1%", 1.01, "85 apples", "", None, True, float("nan")])
def test_anything_else_is_no_share(text: object) -> None:
    with pytest.raises(ValueError, match="is not a share; write one from 0% to 100%, or from 0 to 1"):
        parse_share(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0s"), (0.012, "12ms"), (0.9999, "1000ms"), (1, "1s"), (1.234, "1.23s"), (59.4, "59.4s")),
        *((90, "1m30s"), (3600, "1h"), (3660, "1h1m"), (90061, "1d1h"), (604800, "7d"), (-90, "-1m30s")),
    ],
)
def test_a_duration_reads_as_a_person_writes_it(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_a_duration_that_was_written_is_read_again_within_its_two_units(seconds: float) -> None:
    text = duration_text(seconds)
    assert parse_duration(text) == pytest.approx(seconds, rel=0.05, abs=1e-6) if "e" not in text else seconds < 1e-3


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10_000), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)])
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, tuple[str, float]]]) -> None:
    text = "".join(f"{number}{unit}" for number, (unit, _) in parts)
    assert parse_duration(text) == pytest.approx(sum(number * seconds for number, (_, seconds) in parts))


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_a_sentence_that_says_how_to_write_one(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except ValueError as error:
        assert "write one such as" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (1010 * 1024, "1010KiB"), (2**40 * 5000, "5000TiB")],
)
def test_a_size_reads_in_binary_units(count: float, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        *((0.853, "1", "85.3%"), (1536, "By", "1.5KiB"), (90, "s", "1m30s"), (3, "{connection}", "3")),
        *(
            (1_234_567, "{thing}", "1234567"),
            (2.5, "", "2.5"),
            (20, "1", "2000%"),
            (0.3333333, "{packet}/s", "0.3333/s"),
        ),
        *((4.99996, "d", "5 d"), (13.99, "d", "13.99 d"), (1536, "By/s", "1.5KiB/s"), (123_456.7, "", "123457")),
    ],
)
def test_a_measurement_reads_with_its_unit_unless_its_name_says_what_is_counted(
    value: float, unit: str, text: str
) -> None:
    assert quantity_text(value, unit) == text


class Kept(BaseModel):
    path: LocalPath


@pytest.mark.parametrize(
    ("written", "meant"),
    [("state/shop.db", "/etc/shop/state/shop.db"), ("/var/shop.db", "/var/shop.db"), (MEMORY, MEMORY)],
)
def test_a_path_is_taken_from_the_config_file(written: str, meant: str) -> None:
    assert Kept.model_validate({"path": written}, context={"base": Path("/etc/shop")}).path == meant


def test_a_path_without_a_config_file_is_taken_from_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Kept(path="shop.db").path == str(tmp_path / "shop.db")


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/shop")
    assert Kept(path="~/shop.db").path == "/home/shop/shop.db"


def test_a_path_holds_no_nul() -> None:
    with pytest.raises(ValueError, match="a path holds no NUL character"):
        Kept(path="shop\0.db")


def test_a_path_is_not_empty_and_its_home_is_known() -> None:
    with pytest.raises(ValueError, match="at least 1 character"):
        Kept(path="")
    with pytest.raises(ValueError, match="names a home directory that is not known"):
        Kept(path="~nobody-of-this-name/shop.db")
