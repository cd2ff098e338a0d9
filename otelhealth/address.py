"""Addresses: where something listens, as a user writes it (`127.0.0.1:8082`, `[::1]:0`), and those of IP."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^\s\x00-\x1f\x7f:/\[\]]+)):(?P<port>\d{1,5})")
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, or was asked to: port 0 means any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `127.0.0.1:8082`, `localhost:0` or `[::1]:8082`; raises ValueError with the remedy."""
        match = _HOST_PORT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not an address to listen on; write host:port, such as 127.0.0.1:8082")
        if int(match["port"]) > 65535:
            raise ValueError(f"there is no port {match['port']}; take one from 1 to 65535, or 0 for any free one")
        return cls(match["six"] or match["host"], int(match["port"]))

    @property
    def url(self) -> str:
        """How a program on this machine reaches it."""
        return f"http://{Address(_REACHED_AT.get(self.host, self.host), self.port)}"

    def __str__(self) -> str:
        return host_port(self.host, self.port)


def host_port(host: str, port: int) -> str:
    """`db:5432`, `[::1]:5432`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ip(text: str) -> Ip | None:
    """The address, its zone (`fe80::1%eth0`) aside; None for what is none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _listenable(text: str) -> str:
    Address.parse(text)
    return text


Listen = Annotated[str, AfterValidator(_listenable)]
