"""Network: TCP connections of this network namespace, and what its interfaces carry, lose and damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from glob import has_magic
from typing import ClassVar, Literal

import psutil
from pydantic import Field

from otelhealth.checks.base import Context, Quantity, passed
from otelhealth.checks.cgroup import read
from otelhealth.checks.host import Host, HostCheck, host_quantity
from otelhealth.errors import ProbeError
from otelhealth.model import Attributes, CheckResult, Measurement
from otelhealth.units import size_text

_STATE = "network.connection.state"
_NAME = "network.interface.name"
_DIRECTION = "network.io.direction"
# The loopback, and the ends of containers and tunnels, whose names are made up for each.
_VIRTUAL = ("lo", "lo0", "veth*", "cali*", "cni*", "lxc*", "tap*", "ifb*", "dummy*", "br-*", "docker*", "tunl*", "sit*")
_STATES = {
    "01": "established",
    "02": "syn_sent",
    "03": "syn_recv",
    "04": "fin_wait_1",
    "05": "fin_wait_2",
    "06": "time_wait",
    "07": "close",
    "08": "close_wait",
    "09": "last_ack",
    "0A": "listen",
    "0B": "closing",
    "0C": "syn_recv",
}
_SIDES = ("receive", "transmit")
Counters = tuple[int, int, int, int]  # bytes, packets, errors, drops


class NetworkCheck(HostCheck):
    """Reads the kernel's own sums; only `by_state` walks over the connections, in a thread."""

    summary: ClassVar[str] = "TCP connections; bytes, packets, errors and drops of each interface"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        host_quantity(
            "connections",
            "{connection}",
            "updowncounter",
            "TCP connections by state: established and time_wait; with `by_state: true` all.",
            "system.network.connection.count",
            (_STATE,),
        ),
        host_quantity(
            "orphans",
            "{connection}",
            "updowncounter",
            "TCP connections that no process holds any more.",
            "otelhealth.network.orphans",
        ),
        host_quantity(
            "io", "By", "counter", "Bytes by interface and direction.", "system.network.io", (_NAME, _DIRECTION)
        ),
        host_quantity(
            "packets",
            "{packet}",
            "counter",
            "Packets by interface and direction.",
            "system.network.packet.count",
            (_NAME, _DIRECTION),
        ),
        host_quantity(
            "errors",
            "{error}",
            "counter",
            "Damaged packets by interface and direction.",
            "system.network.errors",
            (_NAME, _DIRECTION),
        ),
        host_quantity(
            "drops",
            "{packet}",
            "counter",
            "Packets dropped though undamaged, by interface and direction.",
            "system.network.packet.dropped",
            (_NAME, _DIRECTION),
        ),
        Quantity(
            "rate",
            "By/s",
            "gauge",
            "Bytes per second since the last run, by interface and direction (record only).",
            "",
        ),
        Quantity(
            "loss_rate",
            "{packet}/s",
            "gauge",
            "Damaged and dropped packets per second since the last run, by interface (record only).",
            "",
        ),
    )

    kind: Literal["network"] = "network"
    interfaces: tuple[str, ...] = Field(
        (),
        description="Only these, each of which must be there; `*` matches any characters, if any are there. "
        "Default: all but virtual ones.",
    )
    exclude: tuple[str, ...] = Field((), description="Interfaces to leave out; `*` matches any characters.")
    by_state: bool = Field(
        False, description="Count connections in every state, which takes the longer the more there are."
    )

    async def probe(self, ctx: Context) -> CheckResult:
        host = self.host(ctx)
        sums = _sockstat(host)
        if self.by_state:
            states = await ctx.in_thread(lambda: _all_states(host))
        else:
            known = {"established": host.established(), "time_wait": sums.get("tw")}
            states = {state: count for state, count in known.items() if count is not None}
        measurements = [
            Measurement("connections", count, "{connection}", ((_STATE, state),)) for state, count in states.items()
        ]
        if "orphan" in sums:
            measurements.append(Measurement("orphans", sums["orphan"], "{connection}"))
        counters = _counters(host, self.interfaces, self.exclude)
        if missing := [each for each in self.interfaces if each not in counters and not has_magic(each)]:
            raise ProbeError("no_interface", f"there is no interface {', '.join(missing)}")
        for name, sides in counters.items():
            measurements += _totals(name, sides)
        rates = list(_rates(ctx, counters))
        return passed(_sentence(states, rates), *measurements, *rates)


@lru_cache(maxsize=1024)
def _wanted(name: str, only: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in exclude):
        return False
    if only:
        return any(fnmatchcase(name, pattern) for pattern in only)
    return not any(fnmatchcase(name, pattern) for pattern in _VIRTUAL)


def _sockstat(host: Host) -> dict[str, int]:
    """The TCP line: `tw`, `orphan`, ...; empty where there is none."""
    for line in (read(f"{host.net}/sockstat") or "").splitlines():
        if line.startswith("TCP:"):
            fields = line.split()[1:]
            return dict(zip(fields[::2], map(int, fields[1::2]), strict=True))
    return {}


def _all_states(host: Host) -> dict[str, int]:
    tables = [text for name in ("tcp", "tcp6") if (text := read(f"{host.net}/{name}"))]
    if not tables:
        found = Counter(connection.status.lower() for connection in psutil.net_connections("tcp"))
        return dict(sorted(found.items()))
    counts = dict.fromkeys(_STATES.values(), 0)
    for table in tables:
        for line in table.splitlines()[1:]:
            state = line.split(None, 4)[3]
            counts[_STATES.get(state, "close")] += 1
    return counts


def _counters(host: Host, only: tuple[str, ...], exclude: tuple[str, ...]) -> dict[str, tuple[Counters, Counters]]:
    """Received and transmitted, by interface."""
    text = read(f"{host.net}/dev")
    if text is None:
        return {
            name: (
                (each.bytes_recv, each.packets_recv, each.errin, each.dropin),
                (each.bytes_sent, each.packets_sent, each.errout, each.dropout),
            )
            for name, each in psutil.net_io_counters(pernic=True).items()
            if _wanted(name, only, exclude)
        }
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        if _wanted(name := name.strip(), only, exclude):
            n = [int(field) for field in rest.split()]
            found[name] = (n[0], n[1], n[2], n[3]), (n[8], n[9], n[10], n[11])
    return found


def _totals(name: str, sides: tuple[Counters, Counters]) -> Iterable[Measurement]:
    for direction, (size, packets, errors, drops) in zip(_SIDES, sides, strict=True):
        attributes: Attributes = ((_NAME, name), (_DIRECTION, direction))
        yield Measurement("io", size, "By", attributes)
        yield Measurement("packets", packets, "{packet}", attributes)
        yield Measurement("errors", errors, "{error}", attributes)
        yield Measurement("drops", drops, "{packet}", attributes)


def _rates(ctx: Context, counters: Mapping[str, tuple[Counters, Counters]]) -> Iterable[Measurement]:
    """Per second since the last run, by interface; none at the first."""
    now = ctx.clock.monotonic()
    before: tuple[float, Mapping[str, tuple[Counters, Counters]]] = ctx.memory.get("counters", (now, {}))
    ctx.memory["counters"] = now, counters
    seconds = now - before[0]
    for name, sides in counters.items():
        if seconds <= 0 or name not in before[1]:
            continue
        lost = 0.0
        for direction, new, old in zip(_SIDES, sides, before[1][name], strict=True):
            rate, _, errors, drops = (max(0, after - first) / seconds for after, first in zip(new, old, strict=True))
            lost += errors + drops
            yield Measurement("rate", rate, "By/s", ((_NAME, name), (_DIRECTION, direction)))
        yield Measurement("loss_rate", lost, "{packet}/s", ((_NAME, name),))


def _sentence(states: Mapping[str, int], rates: Iterable[Measurement]) -> str:
    words = (("established", "established"), ("time_wait", "in time-wait"))
    counts = [f"{states[state]} {word}" for state, word in words if state in states]
    parts = [f"TCP connections: {', '.join(counts)}"] if counts else []
    for rate in rates:
        side = dict(rate.attributes)
        if rate.name == "rate":
            verb = "receives" if side[_DIRECTION] == "receive" else "sends"
            parts.append(f"{side[_NAME]} {verb} {size_text(rate.value)}/s")
        elif rate.value:
            parts.append(f"{side[_NAME]} loses {rate.value:.3g} packets/s")
    return "; ".join(parts) or "no network interface"
