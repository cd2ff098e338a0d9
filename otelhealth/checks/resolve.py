"""Name resolution that never holds a thread of the pool: c-ares, which honours /etc/hosts and resolv.conf.

It keeps answers for their time to live, as applications do; the dns kind asks each time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal
from weakref import WeakKeyDictionary

from otelhealth.errors import ProbeError

Family = Literal[4, 6]
_FAMILIES: dict[Family | None, socket.AddressFamily] = {
    None: socket.AF_UNSPEC,
    4: socket.AF_INET,
    6: socket.AF_INET6,
}
_LOCAL = {None: ("127.0.0.1", "::1"), 4: ("127.0.0.1",), 6: ("::1",)}
_CLASSES = {  # ARES_E*
    1: "dns_no_address",
    2: "dns_servfail",  # FORMERR
    3: "dns_servfail",
    4: "dns_nxdomain",
    5: "dns_not_implemented",
    6: "dns_refused",
    8: "dns_bad_name",
    10: "dns_bad_response",
    11: "dns_unreachable",
    12: "dns_timeout",
}
_WORDS = {
    "dns_no_address": "has no address",
    "dns_nxdomain": "does not exist",
    "dns_timeout": "could not be resolved: no name server answered",
    "dns_unreachable": "could not be resolved: no name server could be reached",
}
_TIMEOUT, _TRIES = 2.0, 3  # seconds for the first try of one server; c-ares lengthens the later ones


@lru_cache(maxsize=4096)
def literal(host: str) -> bool:
    """Whether `host` is an IP address, which needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def prepare(host: str) -> None:
    """Load what looking `host` up will need: done when a check is configured, it does not hold up the loop later."""
    if not literal(host) and host.lower() != "localhost":
        import aiodns  # noqa: F401, PLC0415 - 2 MB and 30 ms that hosts given by address never need


class Resolver:
    """Looks names up on the loop that made it; `servers` (`host:port`) instead of resolv.conf's."""

    def __init__(self, servers: Sequence[str] | None = None, *, timeout: float = _TIMEOUT, tries: int = _TRIES) -> None:
        from aiodns import DNSResolver  # noqa: PLC0415 - see `prepare`

        self._channel = DNSResolver(servers, asyncio.get_running_loop(), timeout=timeout, tries=tries)

    async def resolve(self, host: str, family: Family | None = None) -> tuple[str, ...]:
        """As the function of that name."""
        from aiodns.error import DNSError  # noqa: PLC0415 - see `prepare`

        try:
            found = await self._channel.getaddrinfo(host, family=_FAMILIES[family], type=socket.SOCK_STREAM)
        except DNSError as error:
            raise dns_error(host, error.args[0] if error.args else 0) from error
        addresses = tuple(dict.fromkeys(node.addr[0].decode() for node in found.nodes))
        if not addresses:
            raise dns_error(host, 1)
        return addresses

    async def close(self) -> None:
        await self._channel.close()


RESOLVERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Resolver] = WeakKeyDictionary()
"""One for each loop, made at its first look-up."""


async def resolve(host: str, family: Family | None = None) -> tuple[str, ...]:
    """The addresses of `host` in the order to try them (RFC 6724); raises ProbeError `dns_*`.

    Cancelling it leaves nothing behind but a query that c-ares ends by itself.
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return _LOCAL[family]
    loop = asyncio.get_running_loop()
    resolver = RESOLVERS.get(loop)
    if resolver is None:
        resolver = RESOLVERS[loop] = Resolver()
    return await resolver.resolve(host, family)


async def close() -> None:
    """Give back the running loop's resolver; the next look-up makes a new one."""
    resolver = RESOLVERS.pop(asyncio.get_running_loop(), None)
    if resolver is not None:
        await resolver.close()


def dns_error(host: str, number: int) -> ProbeError:
    """The class of one of c-ares' errors."""
    error_type = _CLASSES.get(number, "dns_error")
    said = error_type.removeprefix("dns_").upper()
    return ProbeError(error_type, f"the name {host} {_WORDS.get(error_type, f'could not be resolved: {said}')}")
