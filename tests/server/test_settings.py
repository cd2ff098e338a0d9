"""What a user may set of the server, and what is said about the rest."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from otelhealth.address import Address
from otelhealth.server.settings import ServerSettings


def test_it_listens_on_loopback_unless_told() -> None:
    assert ServerSettings().address == Address("127.0.0.1", 8082)


@pytest.mark.parametrize("text", ["127.0.0.1:8082", "0.0.0.0:0", "[::1]:8082", "localhost:65535", "agent.example:80"])
def test_an_address_reads_as_it_is_written(text: str) -> None:
    assert str(ServerSettings(listen=text).address) == text


@pytest.mark.parametrize("text", ["8082", ":8082", "127.0.0.1", "::1:8082", "[::1]", "a b:1", "127.0.0.1:-1", "h:1/x"])
def test_what_is_no_address_is_told_how_one_looks(text: str) -> None:
    with pytest.raises(ValidationError, match=r"is not an address to listen on; write host:port"):
        ServerSettings(listen=text)


def test_there_is_no_port_above_65535() -> None:
    with pytest.raises(ValidationError, match="there is no port 65536"):
        ServerSettings(listen="127.0.0.1:65536")


@pytest.mark.parametrize("token", ["", " ", "\t"])
def test_an_empty_token_is_never_valid(token: str) -> None:
    with pytest.raises(ValidationError, match="an empty token is never valid"):
        ServerSettings.model_validate({"auth": {"tokens": ["good-token", token]}})


@pytest.mark.parametrize("token", ["two words", "line\nfeed", "schlüssel"])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ValidationError, match="printable ASCII without spaces") as caught:
        ServerSettings.model_validate({"auth": {"tokens": [token]}})
    assert token not in str(caught.value)


def test_every_setting_says_what_it_is() -> None:
    schema = ServerSettings.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        assert all(field.get("description") for field in part["properties"].values())
