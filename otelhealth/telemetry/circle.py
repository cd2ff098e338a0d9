"""Whether what is received would be sent back to where it came in, and never leave."""

from __future__ import annotations

import platform
import socket
from hashlib import sha256
from urllib.parse import urlsplit

from otelhealth.address import Address, Ip, ip
from otelhealth.checks.url import PORTS

MARK = "x-otelhealth-mark"  # a header on all that a receiving agent sends: what no look at the endpoint can tell


def mark_of(instance: str) -> str:
    """What a header can hold of the service.instance.id, which a user may choose."""
    return sha256(instance.encode("utf-8", "replace")).hexdigest()[:32]


def leads_back(endpoint: str, listening: Address) -> bool:
    """Whether a request to the URL `endpoint` arrives at what listens there; no name is looked up for that."""
    url = urlsplit(endpoint)
    port = url.port or PORTS.get(url.scheme)
    return port == listening.port and _is_there((url.hostname or "").rstrip("."), listening.host.lower())


def _is_there(host: str, listening: str) -> bool:
    target, own = ip(host), ip(listening)
    loopback = own.is_loopback if own else listening == "localhost"
    anywhere = own is not None and own.is_unspecified
    if host == "localhost" or (target is not None and target.is_unspecified):
        return loopback or anywhere
    if target is None:
        return host in (listening, *_own_names())
    if own is None:
        return loopback and target.is_loopback
    return target == own or (anywhere and (target.is_loopback or target in _own_addresses()))


def _own_names() -> set[str]:
    names = {platform.node().lower(), socket.gethostname().lower()}
    return names | {name.partition(".")[0] for name in names} - {""}


def _own_addresses() -> set[Ip]:
    import psutil  # noqa: PLC0415 - 4 ms of a start, and only where it listens on all of them

    found = (ip(each.address) for addresses in psutil.net_if_addrs().values() for each in addresses)
    return {address for address in found if address is not None}
