from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from otelhealth.checks.cgroup import Cgroup, Pressure, read
from otelhealth.checks.host import Host
from tests.machine import CGROUP_MOUNT, GIB, ROOT_MOUNT, Machine

CGROUP_SKIP = (
    "no cgroup v2 tree in which this user may limit cpu and memory; run as root where /sys/fs/cgroup is cgroup2"
)


def found(machine: Machine) -> Cgroup:
    cgroup = Cgroup.find(machine.root)
    assert cgroup is not None
    return cgroup


def test_the_levels_are_the_own_cgroup_and_its_ancestors_up_to_the_mount(tmp_path: Path) -> None:
    machine = Machine(tmp_path, own="/pod/app")
    machine.quota("/pod/app", 1)
    top = str(machine.cgroups)
    assert found(machine).levels == (f"{top}/pod/app", f"{top}/pod", top)


@pytest.mark.parametrize(
    ("own", "top", "seen"),
    [
        ("/", "/", ""),  # a container with a cgroup namespace of its own
        ("/docker/abc", "/docker/abc", ""),  # the host's namespace, of which the container's part is mounted
        ("/docker/abc/inner", "/docker/abc", "inner"),
        ("/docker/abc", "/", ""),  # the host's path, which the container cannot see
        ("/../other", "/", ""),  # a cgroup outside of this namespace
    ],
)
def test_a_path_of_another_namespace_is_found_where_it_is_mounted(
    own: str, top: str, seen: str, tmp_path: Path
) -> None:
    machine = Machine(tmp_path, own=own, top=top)
    machine.quota(f"/{seen}", 0.5)
    assert found(machine).levels[0] == str(machine.cgroups / seen)


def test_without_cgroup_v2_there_is_none(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.mounts(ROOT_MOUNT)
    assert Cgroup.find(tmp_path) is None
    machine.mounts(ROOT_MOUNT, CGROUP_MOUNT.format(top="/"))
    machine.write("proc/self/cgroup", "4:memory:/x\n1:cpu:/\n")
    assert Cgroup.find(tmp_path) is None
    assert Cgroup.find(tmp_path / "no proc at all") is None


def test_where_nothing_is_limited_there_are_no_figures(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.group("/pod/app", cpu_max="max 100000", memory_max="max", memory_current="5")
    assert (found(machine).cpu(), found(machine).memory()) == (None, None)


def test_the_tightest_ancestor_counts_with_what_its_other_members_use(tmp_path: Path) -> None:
    machine = Machine(tmp_path, own="/pod/app")
    machine.quota("/pod", 1, used=50)
    machine.quota("/pod/app", 2, used=20)
    machine.limit("/pod", 1 * GIB, current=900, inactive_file=100)
    machine.limit("/pod/app", 2 * GIB, current=300)
    cpu, memory = found(machine).cpu(), found(machine).memory()
    assert cpu is not None
    assert (cpu.path, cpu.cores, cpu.user) == (str(machine.cgroups / "pod"), 1.0, 50.0)
    assert memory is not None
    assert (memory.path, memory.limit, memory.used) == (str(machine.cgroups / "pod"), GIB, 800)


def test_of_equal_limits_the_nearest_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, own="/pod/app")
    machine.limit("/pod", GIB, current=900)
    machine.limit("/pod/app", GIB, current=300)
    memory = found(machine).memory()
    assert memory is not None
    assert memory.used == 300


def test_memory_in_use_leaves_out_the_inactive_file_cache_and_never_falls_below_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.limit("/pod/app", GIB, current=500, inactive_file=200, oom_kills=2)
    machine.group("/pod/app", memory_high="800", memory_swap_current="70", memory_swap_max="max")
    machine.write("sys/fs/cgroup/pod/app/memory.swap.current", "70\n")
    memory = found(machine).memory()
    assert memory is not None
    assert (memory.used, memory.inactive_file, memory.high, memory.oom_kills) == (300, 200, 800, 2)
    assert (memory.swap_used, memory.swap_limit) == (70, None)
    machine.limit("/pod/app", GIB, current=100, inactive_file=200)
    emptied = found(machine).memory()
    assert emptied is not None
    assert emptied.used == 0


def test_throttling_is_counted_in_periods_and_seconds(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.quota("/pod/app", 0.5, periods=100, throttled=20)
    cpu = found(machine).cpu()
    assert cpu is not None
    assert (cpu.throttling.periods, cpu.throttling.throttled, cpu.throttling.seconds) == (100, 20, 1.0)


@pytest.mark.parametrize("text", [None, "", "nonsense", "some"])
def test_pressure_is_unknown_where_the_kernel_keeps_none(text: str | None) -> None:
    assert Pressure.parse(text) is None


def test_pressure_is_a_share() -> None:
    assert Pressure.parse("some avg10=75.00 avg60=71.79 avg300=49.99 total=2\n") == Pressure(0.75, None)


def test_a_kernel_file_that_is_not_there_reads_as_none(tmp_path: Path) -> None:
    assert read(str(tmp_path / "none")) is None
    assert read(str(tmp_path)) is None


@pytest.fixture
def real_cgroup() -> Iterator[Path]:
    """A cgroup of the running kernel with the cpu and memory controllers, or a skip that says how to get one."""
    base = Path("/sys/fs/cgroup")
    place = base / f"otelhealth-test-{os.getpid()}"
    try:
        controllers = set((base / "cgroup.controllers").read_text().split())
        if not {"cpu", "memory"} <= controllers:
            pytest.skip(CGROUP_SKIP)
        (base / "cgroup.subtree_control").write_text("+cpu +memory")
        place.mkdir()
    except OSError:
        pytest.skip(CGROUP_SKIP)
    yield place
    place.rmdir()


ASK = "sys.stdin.readline(); sys.path[:0] = [sys.argv[1]]"


def test_a_real_cgroup_limits_what_a_process_in_it_is_told(real_cgroup: Path) -> None:
    (real_cgroup / "cpu.max").write_text("50000 100000")
    (real_cgroup / "memory.max").write_text(str(256 << 20))
    program = (
        f"import sys; {ASK}\nfrom otelhealth.checks.host import Host\nhost = Host()\n"
        "cpu, memory = host.cpu(0), host.memory()\n"
        "print(cpu.scope, cpu.cores, memory.scope, memory.limit, memory.used > 1 << 20)"
    )
    answer = in_cgroup(real_cgroup, program)
    assert answer.split() == ["container", "0.5", "container", str(256 << 20), "True"]


@pytest.fixture
def real_v2_place() -> Iterator[Path]:
    """A bare cgroup v2 of the running kernel: hybrid systems have one too, without the controllers."""
    base = next((Path(line.split()[4]) for line in _mountinfo() if " - cgroup2 " in line), None)
    if base is None:
        pytest.skip(CGROUP_SKIP)
    place = base / f"otelhealth-test-v2-{os.getpid()}"
    try:
        place.mkdir()
    except OSError:
        pytest.skip(CGROUP_SKIP)
    yield place
    place.rmdir()


def test_a_process_in_a_real_cgroup_finds_it_and_what_it_waited_for(real_v2_place: Path) -> None:
    program = (
        f"import sys; {ASK}\nfrom otelhealth.checks.cgroup import Cgroup\ncgroup = Cgroup.find()\n"
        "print(cgroup.levels[0], cgroup.pressure(cgroup.levels[0], 'cpu'))"
    )
    place, _, pressure = in_cgroup(real_v2_place, program).partition(" ")
    assert place == str(real_v2_place)
    assert pressure.strip() == "None" or pressure.startswith("Pressure(some=")


def test_where_this_process_is_not_limited_the_host_counts() -> None:
    host = Host()
    limited = host.cgroup is not None and host.cgroup.memory() is not None
    assert host.memory().scope == ("container" if limited else "host")


def _mountinfo() -> list[str]:
    return (read("/proc/self/mountinfo") or "").splitlines()


def in_cgroup(place: Path, program: str) -> str:
    """What `program` prints, which starts once it is in the cgroup."""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(Path(__file__).parents[2])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            (place / "cgroup.procs").write_text(str(child.pid))
            answer, _ = child.communicate("go\n", timeout=60)
        finally:
            with suppress(ProcessLookupError):
                child.kill()
    return answer
