from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.checks.url import Url


@pytest.mark.parametrize(
    ("text", "host", "port", "target", "authority"),
    [
        ("http://x", "x", 80, "/", "x"),
        ("https://X.example:443/a", "x.example", 443, "/a", "x.example"),
        ("http://[::1]:8080/?a=b", "::1", 8080, "/?a=b", "[::1]:8080"),
        ("http://x/ä?q=ö#part", "x", 80, "/%C3%A4?q=%C3%B6", "x"),
        ("http://bücher.example/", "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example"),
    ],
)
def test_a_url_is_taken_apart(text: str, host: str, port: int, target: str, authority: str) -> None:
    url = Url.parse(text)
    assert (url.host, url.port, url.target, url.authority) == (host, port, target, authority)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://u:p@x/a?k=v&flag&e=#f", "http://x/a?k=REDACTED&REDACTED&REDACTED"),
        ("http://x/?a=b=c", "http://x/?a=REDACTED"),
        ("https://token@x:8443/", "https://x:8443/"),
    ],
)
def test_what_is_shown_holds_no_secret(text: str, shown: str) -> None:
    url = Url.parse(text)
    assert str(url) == shown
    assert repr(url) == f"Url({shown!r})"


@given(st.text(st.characters(codec="ascii", exclude_characters="@/?#[]\\"), min_size=1, max_size=20))
def test_user_info_never_shows(secret: str) -> None:
    text = f"http://user:{secret}@host.example/"
    try:
        told = str(Url.parse(text))
    except ValueError as error:
        told = str(error)
    assert told == "http://host.example/" or text not in told


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    for prefix in ("", "http://", "http://x/"):
        try:
            url = Url.parse(prefix + text)
        except ValueError:
            continue
        sent = url.host + url.target + url.authority
        assert not any(character in sent for character in "\r\n\0 ")
        assert sent.isascii()


@given(st.text(max_size=40))
def test_any_location_leads_somewhere_or_nowhere(location: str) -> None:
    try:
        url = Url.parse("http://x/a/b").join(location)
    except ValueError:
        return
    assert url.scheme in ("http", "https")
    assert not any(character in url.host + url.target for character in "\r\n\0 ")


def test_a_location_is_relative_to_where_it_was_given() -> None:
    url = Url.parse("http://u:p@x:81/a/b?q=1")
    assert str(url.join("c")) == "http://x:81/a/c"
    assert str(url.join("//y/z")) == "http://y/z"
    assert str(url.join("/a b")) == "http://x:81/a%20b"
    assert url.join("c").authorization == ""


def test_an_api_below_a_url_keeps_its_credentials() -> None:
    url = Url.parse("http://u:p@x/base/").under("/api?q=1")
    assert (url.target, url.authorization) == ("/base/api?q=1", Url.parse("http://u:p@x/").authorization)
