from __future__ import annotations

import socket
import sys
from pathlib import Path

import psutil
import pytest

from otelhealth.checks.host import Host, HostCheck, HostSampler
from otelhealth.checks.registry import all_kinds
from otelhealth.clock import ManualClock
from otelhealth.model import Status
from tests.kinds.runs import Runs
from tests.machine import GIB, Machine

NEEDS_PROC = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")


def test_the_share_of_the_cpu_is_what_was_not_idle_since_the_reading_before(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    host = Host(tmp_path)
    machine.cpu(user=100, idle=100)
    before = host.cpu(0.0)
    machine.cpu(user=102, idle=105, iowait=1, steal=2)
    after = host.cpu(10.0)
    assert (after.scope, after.cores) == ("host", 4)
    assert after.share_since(before) == pytest.approx(0.4)
    assert before.share_since(before) == 0.0


def test_in_a_limited_container_the_share_is_of_the_quota(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.quota("/pod/app", 0.5, used=10)
    host = Host(tmp_path)
    before = host.cpu(100.0)
    machine.quota("/pod/app", 0.5, used=12)
    after = host.cpu(110.0)
    assert (after.scope, after.cores) == ("container", 0.5)
    assert after.share_since(before) == pytest.approx(0.4)
    machine.quota("/pod/app", 0.5, used=99)
    assert host.cpu(111.0).share_since(after) == 1.0


def test_a_quota_or_limit_beyond_the_machine_does_not_limit(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.quota("/pod/app", 4)
    machine.limit("/pod/app", 16 * GIB, current=1)
    host = Host(tmp_path)
    assert (host.cpu(0).scope, host.memory().scope) == ("host", "host")


def test_the_host_may_be_asked_for_in_a_container_too(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.quota("/pod/app", 0.5)
    assert Host(tmp_path, container=False).cpu(0).scope == "host"


def test_memory_in_use_is_what_is_not_available(tmp_path: Path) -> None:
    Machine(tmp_path)
    memory = Host(tmp_path).memory()
    assert (memory.limit, memory.used, memory.cached, memory.free) == (8 * GIB, 2 * GIB, 4 * GIB, 2 * GIB)
    assert (memory.utilization, memory.swap_used, memory.swap_limit) == (0.25, GIB, 2 * GIB)


def test_the_sampler_gives_the_figures_of_the_report(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write("proc/net/snmp", "Ip: x\nIp: 1\nTcp: RtoMin CurrEstab InSegs\nTcp: 200 17 5\n")
    clock = ManualClock()
    sampler = HostSampler(tmp_path, clock)
    machine.cpu(user=5, idle=15)
    clock.advance(10)
    sampler.read_disks()
    sample = sampler.sample()
    assert (sample.cpu_usage_percent, sample.memory_usage_mb, sample.memory_usage_percent) == (25.0, 2048, 25.0)
    assert (sample.disk_mount, sample.network_connections, sample.scope) == ("/", 17, "host")
    assert 0 < sample.disk_usage_percent <= 100


def test_the_sampler_speaks_of_the_container_where_either_is_limited(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.limit("/pod/app", GIB, current=300 << 20, inactive_file=44 << 20)
    sample = HostSampler(tmp_path, ManualClock()).sample()
    assert (sample.scope, sample.memory_usage_mb, sample.memory_usage_percent) == ("container", 256, 25.0)
    assert (sample.disk_usage_percent, sample.disk_mount, sample.network_connections) == (0.0, "", 0)


@NEEDS_PROC
def test_on_this_machine_the_figures_are_those_that_psutil_sees() -> None:
    host = Host(container=False)
    memory, seen = host.memory(), psutil.virtual_memory()
    assert memory.limit == seen.total
    assert memory.used == pytest.approx(seen.total - seen.available, rel=0.2)
    cpu, times = host.cpu(0), psutil.cpu_times()
    assert dict(cpu.modes)["idle"] == pytest.approx(times.idle, rel=0.05, abs=5)
    assert cpu.cores == psutil.cpu_count()


@NEEDS_PROC
def test_a_connection_more_is_an_established_socket_more_at_each_end() -> None:
    host = Host()
    with socket.create_server(("127.0.0.1", 0)) as server:
        pairs = []
        before = host.established()
        for _ in range(20):
            client = socket.create_connection(server.getsockname())
            pairs += [client, server.accept()[0]]
        after = host.established()
        for end in pairs:
            end.close()
    assert before is not None
    assert after is not None
    assert after - before >= 30  # 40, but others on this machine close theirs meanwhile


def test_without_proc_psutil_answers(tmp_path: Path) -> None:
    host = Host(tmp_path)
    cpu, memory = host.cpu(0), host.memory()
    assert cpu.cores == psutil.cpu_count()
    assert cpu.busy > 0
    assert 0 < memory.utilization < 1
    assert memory.used + memory.cached + memory.free == memory.limit
    assert (host.established(), host.pressure("cpu"), host.oom_kills()) == (None, None, None)
    [root] = [usage for usage in host.disks() if usage.mount.point == "/"]
    assert root.total == psutil.disk_usage("/").total


@pytest.mark.parametrize("kind", [kind for kind in all_kinds().values() if issubclass(kind, HostCheck)])
async def test_a_root_without_a_kernel_gives_no_figures_of_another_machine(
    kind: type[HostCheck], tmp_path: Path
) -> None:
    check, run = kind.model_validate({"name": "host", "root": tmp_path}), Runs()
    for _ in range(2):
        result = await run(check)
        assert (result.status, result.measurements) == (Status.UNKNOWN, ())
        assert result.message.startswith(f"no host is seen below {tmp_path}, which has no proc; mount the host's `/`")
    Machine(tmp_path)
    assert (await run(check)).status is not Status.UNKNOWN
