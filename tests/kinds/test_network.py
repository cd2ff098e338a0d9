from __future__ import annotations

import socket
from pathlib import Path

import pytest

from otelhealth.clock import ManualClock
from otelhealth.kinds.network import NetworkCheck
from otelhealth.model import Status
from tests.kinds.runs import Runs, figures
from tests.machine import Machine

HEAD = (
    "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets ...\n"
)
TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000
   2: 0100007F:1F90 0100007F:C002 08 00000000:00000000 00:00000000 00000000
"""


def carried(machine: Machine, *, received: int, errors: int = 0, drops: int = 0) -> None:
    lines = "".join(
        f"  {name}: {received} 10 {errors} {drops} 0 0 0 0 {2 * received} 20 0 0 0 0 0 0\n"
        for name in ("lo", "eth0", "veth1a2b", "wg0")
    )
    machine.write("proc/net/dev", HEAD + lines)


def kernel(root: Path) -> Machine:
    machine = Machine(root)
    machine.write("proc/net/snmp", "Tcp: RtoMin CurrEstab InSegs\nTcp: 200 17 5\n")
    machine.write(
        "proc/net/sockstat", "sockets: used 16\nTCP: inuse 1 orphan 2 tw 3 alloc 1 mem 388\nUDP: inuse 0 mem 0\n"
    )
    carried(machine, received=1000)
    return machine


async def test_connections_are_the_kernels_own_counts(tmp_path: Path) -> None:
    kernel(tmp_path)
    result = await Runs()(NetworkCheck(name="network", root=str(tmp_path)))
    seen = figures(result)
    assert (seen["connections[established]"], seen["connections[time_wait]"], seen["orphans"]) == (17, 3, 2)
    assert result.message == "TCP connections: 17 established, 3 in time-wait"


async def test_real_interfaces_are_counted_and_virtual_ones_left_out(tmp_path: Path) -> None:
    kernel(tmp_path)
    seen = figures(await Runs()(NetworkCheck(name="network", root=str(tmp_path))))
    assert (seen["io[eth0,receive]"], seen["io[eth0,transmit]"], seen["packets[wg0,transmit]"]) == (1000, 2000, 20)
    assert not [key for key in seen if "lo," in key or "veth" in key]


@pytest.mark.parametrize(
    ("fields", "names"),
    [({"interfaces": ("lo", "veth*")}, {"lo", "veth1a2b"}), ({"exclude": ("wg*",)}, {"eth0"})],
)
async def test_interfaces_are_chosen_by_pattern(fields: dict[str, object], names: set[str], tmp_path: Path) -> None:
    kernel(tmp_path)
    check = NetworkCheck.model_validate({"name": "network", "root": str(tmp_path), **fields})
    result = await Runs()(check)
    assert {
        dict(each.attributes)["network.interface.name"] for each in result.measurements if each.name == "io"
    } == names


async def test_an_interface_asked_for_that_is_gone_fails(tmp_path: Path) -> None:
    kernel(tmp_path)
    result = await Runs()(NetworkCheck(name="network", root=str(tmp_path), interfaces=("eth*", "ens*", "wg0", "wg1")))
    assert (result.status, result.error_type) == (Status.FAIL, "no_interface")
    assert result.message == "there is no interface wg1"


async def test_rates_are_those_since_the_run_before(tmp_path: Path) -> None:
    machine, clock = kernel(tmp_path), ManualClock()
    levels = {"loss_rate": {"warn": "> 0"}}
    fields = {"name": "network", "root": str(tmp_path), "interfaces": ["eth0"], "levels": levels}
    check, run = NetworkCheck.model_validate(fields), Runs(clock)
    assert (await run(check)).status is Status.PASS
    clock.advance(10)
    carried(machine, received=11_000, errors=5, drops=15)
    result = await run(check)
    seen = figures(result)
    assert (seen["rate[eth0,receive]"], seen["rate[eth0,transmit]"], seen["loss_rate[eth0]"]) == (1000, 2000, 2)
    assert result.status is Status.WARN
    assert "eth0 receives 1e+03B/s" not in result.message
    assert "eth0 loses 2 packets/s" in result.message


async def test_counters_that_start_again_give_no_negative_rate(tmp_path: Path) -> None:
    machine, clock = kernel(tmp_path), ManualClock()
    check, run = NetworkCheck(name="network", root=str(tmp_path)), Runs(clock)
    await run(check)
    clock.advance(10)
    carried(machine, received=0)
    assert figures(await run(check))["rate[eth0,receive]"] == 0


async def test_all_states_are_counted_when_asked_for(tmp_path: Path) -> None:
    machine = kernel(tmp_path)
    machine.write("proc/net/tcp", TABLE)
    machine.write("proc/net/tcp6", TABLE)
    seen = figures(await Runs()(NetworkCheck(name="network", root=str(tmp_path), by_state=True)))
    assert (seen["connections[established]"], seen["connections[listen]"], seen["connections[close_wait]"]) == (2, 2, 2)
    assert seen["connections[syn_sent]"] == 0


async def test_on_this_machine_a_listener_is_seen_by_state() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        result = await Runs()(NetworkCheck(name="network", by_state=True))
    assert figures(result)["connections[listen]"] >= 1


async def test_without_the_kernels_files_the_interfaces_are_counted_by_psutil(tmp_path: Path) -> None:
    Machine(tmp_path)
    result = await Runs()(NetworkCheck(name="network", root=str(tmp_path), interfaces=("lo*",)))
    assert result.status is Status.PASS
    assert "connections[established]" not in figures(result)
    assert any(each.name == "io" for each in result.measurements)
