"""What a request says of itself: bounded and without secrets, whatever a client sends."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.inside.attributes import authority, of_request, redacted_query, route_path
from tests.inside.recording import scope_of

SECRET = st.sampled_from(
    ["sig", "Signature", "AWSAccessKeyId", "X-Goog-Signature", "X-Amz-Credential", "token", "Password"]
)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", ""),
        ("a=1&b=2", "a=1&b=2"),
        ("sig=abc", "sig=REDACTED"),
        ("a=1&SIG=a=b&&c", "a=1&SIG=REDACTED&&c"),
        ("s%69g=abc&a=%20", "s%69g=REDACTED&a=%20"),
        ("token", "token"),
        ("signal=5&tokens=3&monkey=1&country_code=de", "signal=5&tokens=3&monkey=1&country_code=de"),
        ("access-token=1&Session_ID=2&apiKey=3", "access-token=REDACTED&Session_ID=REDACTED&apiKey=REDACTED"),
        ("X-Amz-Credential=1&csrf_token=2&pwd=3", "X-Amz-Credential=REDACTED&csrf_token=REDACTED&pwd=REDACTED"),
        ("api_key=1;b=2", "api_key=REDACTED"),
    ],
)
def test_values_of_secret_keys_are_hidden_and_the_rest_stays(query: str, shown: str) -> None:
    assert redacted_query(query.encode()) == shown


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5), SECRET, st.text(min_size=4))
def test_no_secret_gets_through(pairs: list[tuple[str, str]], key: str, secret: str) -> None:
    every = [*pairs, (key, f"<{secret}>")]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in every)
    shown = dict(parse_qsl(redacted_query(query.encode()), keep_blank_values=True))
    assert len(query) > 2000 or shown[key] == "REDACTED"


@given(st.binary(max_size=5000))
def test_any_query_is_bounded(query: bytes) -> None:
    assert len(redacted_query(query)) <= 2048 + 8 * 2048


@pytest.mark.parametrize(
    ("host", "found"),
    [
        (b"shop.example", ("shop.example", None)),
        (b"shop.example:8000", ("shop.example", 8000)),
        (b"[::1]:8000", ("::1", 8000)),
        (b"[fe80::1%25eth0]", ("", None)),
        (b"user:secret@shop.example", ("", None)),
        (b"a b", ("", None)),
        (b"shop.example:port", ("", None)),
        (b"x" * 400, ("", None)),
        (b"", ("", None)),
    ],
)
def test_a_host_is_a_name_and_a_port(host: bytes, found: tuple[str, int | None]) -> None:
    assert authority(host) == found


@given(st.binary(max_size=400))
def test_any_host_is_taken(host: bytes) -> None:
    name, port = authority(host)
    assert "@" not in name
    assert port is None or port < 100_000


def test_a_port_that_is_not_said_is_that_of_the_scheme() -> None:
    scope = scope_of("/", headers={"host": "shop.example"})
    assert of_request(scope, b"shop.example", b"")["server.port"] == 80
    assert of_request(scope | {"scheme": "https"}, b"shop.example", b"")["server.port"] == 443


def test_without_a_host_the_server_s_own_address_stands() -> None:
    told = of_request(scope_of("/"), b"", b"")
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", 8000)


def test_a_unix_socket_has_no_address() -> None:
    told = of_request(scope_of("/", server=None, client=None), b"", b"")
    assert not {"server.address", "server.port", "client.address", "client.port"} & told.keys()
    told = of_request(scope_of("/", server=("/run/shop.sock", None), client=("", 0)), b"", b"")
    assert "client.port" not in told


def test_what_a_client_says_is_bounded() -> None:
    told = of_request(scope_of("/" + "x" * 10_000 + "?" + "y" * 10_000), b"", b"z" * 10_000)
    assert {len(str(told[key])) for key in ("url.path", "url.query", "user_agent.original")} == {2048}


@pytest.mark.parametrize(
    ("root", "path", "found"),
    [
        ("", "/health", "/health"),
        ("/api", "/api/health", "/health"),
        ("/api", "/health", "/health"),
        ("/api", "/apix", "/apix"),
    ],
)
def test_the_path_of_a_route_is_below_the_root(root: str, path: str, found: str) -> None:
    assert route_path(scope_of(path, root_path=root)) == found
