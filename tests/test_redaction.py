"""What is known to be secret gives way wherever it stands in a text, however the text was escaped or cut."""

from __future__ import annotations

import json
import threading
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.redaction import MASK, Redactor

SECRET = 'hunter2-"tea"/cups é'
_secrets = st.text(min_size=4, max_size=40).filter(lambda text: len(text.strip()) >= 4)


@pytest.mark.parametrize(
    "text",
    [SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], repr(SECRET), quote(SECRET)],
)
def test_a_secret_gives_way_as_it_is_and_escaped(text: str) -> None:
    redact = Redactor([SECRET])
    assert "hunter2" not in redact(f"before {text} after")
    assert redact(f"before {text} after").startswith("before ")
    assert redact(f"before {text} after").endswith(" after")


@given(_secrets, st.text(max_size=30), st.text(max_size=30))
def test_no_text_holds_a_secret_that_is_known(secret: str, before: str, after: str) -> None:
    redact = Redactor([secret])
    told = redact(f"{before} {secret} {after}")
    assert secret.strip() not in told.replace(MASK, "")
    assert MASK in told


@given(st.lists(st.text("ABC", min_size=4), max_size=5), st.text())
def test_a_text_without_secrets_stays_the_very_same(secrets: list[str], text: str) -> None:
    assert Redactor(secrets)(text.lower()) == text.lower()


def test_what_was_cut_of_a_secret_gives_way_too() -> None:
    token = "tok-" + "0123456789abcdef" * 8
    redact = Redactor([token])
    assert redact(f'x is "{token[:40]}...') == f'x is "{MASK}...'
    assert redact(f"said {token[:20]}") == f"said {MASK}"
    assert redact(token[-100:] + " and so on" * 20) == MASK + " and so on" * 20
    assert redact("tok-0123 is another") == "tok-0123 is another"


def test_a_short_secret_counts_as_a_word_only() -> None:
    redact = Redactor(["shop", "abc"])
    assert redact("shop=shop, workshops, abc") == f"{MASK}={MASK}, workshops, abc"


def test_a_secret_of_several_lines_gives_way_on_one_line_and_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAoIB\n"
    redact = Redactor([key])
    assert redact(f"{key}!") == f"{MASK}\n!"
    assert redact("BAQEFAASCBKcwggSjAgEAAoIB") == MASK
    assert redact(key.replace("\n", " ").strip()) == MASK


def test_the_longest_secret_goes_first() -> None:
    redact = Redactor(["token-1", "token-12345"])
    assert redact("token-12345 token-1 token-123 !") == f"{MASK} {MASK} {MASK}23 !"


def test_values_are_searched_to_their_depth() -> None:
    redact = Redactor([SECRET])
    value = {"a": [1, SECRET, {"b": (f"x{SECRET}", None)}], SECRET: 2.5}
    assert redact.value(value) == {"a": [1, MASK, {"b": (f"x{MASK}", None)}], MASK: 2.5}
    assert not redact.is_clean(value.values())
    assert redact.is_clean([1, None, "x", ("y", ("z",)), {"k": ["v"]}])


def test_what_was_clean_is_looked_at_again_once_more_is_known() -> None:
    redact = Redactor(["one-secret"])
    assert redact.is_clean(("two-secret",))
    redact.learn(["two-secret"])
    assert not redact.is_clean(("two-secret",))
    assert redact("one-secret two-secret") == f"{MASK} {MASK}"


@pytest.mark.parametrize("count", [1, 40, 2000])
def test_many_secrets_are_found_as_few_are(count: int) -> None:
    redact = Redactor(f"{number}-secret-{number}" for number in range(count))
    text = f"the value {count - 1}-secret-{count - 1} is secret"
    assert redact(text) == f"the value {MASK} is secret"


def test_the_oldest_of_too_many_are_forgotten() -> None:
    redact = Redactor(f"secret-{number:06}" for number in range(30_000))
    assert redact("secret-029999") == MASK
    assert redact("secret-000000") == "secret-000000"


def test_others_may_learn_while_texts_are_searched() -> None:
    redact = Redactor(["first-secret"])
    text = "a" * 300 + " first-secret"

    def learn() -> None:
        for number in range(3000):
            redact.learn([f"{number}-secret"])

    thread = threading.Thread(target=learn)
    thread.start()
    while thread.is_alive():
        assert redact(text).endswith(MASK)
    thread.join()


def test_one_that_knows_nothing_is_false_and_changes_nothing() -> None:
    redact = Redactor(["", "abc", "   "])
    assert not redact
    assert redact("abc") == "abc"
