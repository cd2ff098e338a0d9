"""What is told of foreign texts."""

from __future__ import annotations

import pytest

from otelhealth.errors import Problem, one_line, redacted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no way to postgres://user:pass@db/shop today", "no way to postgres://***@db/shop today"),
        ("postgres://user:p@ss@db/shop", "postgres://***@db/shop"),
        ("postgres://user:p/ss@db/shop", "postgres://***@db/shop"),
        ("http://user@db/", "http://***@db/"),
        ("http://db:5432/mail/a@b.c", "http://db:5432/mail/a@b.c"),
        ("http://[::1]:80/a@b", "http://[::1]:80/a@b"),
        ("http://db/ and a@b.c", "http://db/ and a@b.c"),
    ],
)
def test_the_user_info_of_a_url_is_not_told(text: str, told: str) -> None:
    assert redacted(text) == told


def test_a_long_foreign_text_is_looked_through_once() -> None:
    assert redacted("://a:" * 500_000 + "@").endswith("***@")


def test_a_line_forges_no_other_line_and_moves_no_cursor() -> None:
    assert one_line("a\r\nERROR forged\x1b[2J\x9b1A\ud800\u202ez", 100) == "a ERROR forged [2J 1A z"
    assert one_line("ünïcode stays" * 100, 13) == "ünïcode stays"


def test_a_problem_quotes_what_it_is_about_in_one_line_of_bounded_length() -> None:
    said = str(Problem("x.yaml", "checks.\x1b[2J", f"unknown kind {'k' * 10**6!r}", "list them", 1, 2))
    assert said.startswith("x.yaml:1:2: checks. [2J: unknown kind 'kkk")
    assert said.endswith("k; list them")
    assert len(said) < 600
