"""A machine of files: what a kernel shows below `/proc` and `/sys/fs/cgroup`, to be read and changed by tests."""

from __future__ import annotations

from pathlib import Path

GIB = 1 << 30
ROOT_MOUNT = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"
CGROUP_MOUNT = "41 31 0:38 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"


class Machine:
    """Idle at first, with 4 cores and 8 GiB, its process in the cgroup `own`, of which `top` is mounted."""

    def __init__(self, root: Path, *, own: str = "/pod/app", top: str = "/") -> None:
        self.root = root
        self.cgroups = root / "sys/fs/cgroup"
        self.cpu(user=0, idle=0)
        self.write("proc/meminfo", _meminfo(8 * GIB, 2 * GIB, 6 * GIB, 2 * GIB, 1 * GIB))
        self.write("proc/vmstat", "nr_free_pages 1\npswpin 0\noom_kill 3\n")
        self.write("proc/self/cgroup", f"4:memory:/elsewhere\n0::{own}\n")
        self.mounts(ROOT_MOUNT, CGROUP_MOUNT.format(top=top))
        for resource in ("cpu", "memory", "io"):
            self.pressure(f"proc/pressure/{resource}", 25.0)
        self.cgroups.mkdir(parents=True)

    def write(self, path: str, text: str) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def cpu(self, *, user: float, idle: float, iowait: float = 0, steal: float = 0) -> None:
        """Seconds so far of all 4 cores."""
        fields = (user, 0, 0, idle, iowait, 0, 0, steal, 0, 0)
        total = " ".join(str(round(seconds * 100)) for seconds in fields)
        self.write("proc/stat", f"cpu  {total}\n" + "".join(f"cpu{n} 0 0 0 0\n" for n in range(4)) + "ctxt 1\n")

    def mounts(self, *lines: str) -> None:
        self.write("proc/self/mountinfo", "\n".join(lines) + "\n")

    def pressure(self, path: str, some: float) -> None:
        """Percent of the last 10 s."""
        lines = (
            f"{kind} avg10={avg:.2f} avg60=0.00 avg300=0.00 total=1" for kind, avg in (("some", some), ("full", 5))
        )
        self.write(path, "\n".join(lines) + "\n")

    def group(self, path: str, **files: str) -> None:
        """Write files of a cgroup: `cpu_max="50000 100000"` is its `cpu.max`."""
        for name, text in files.items():
            self.write(f"sys/fs/cgroup{path}/{name.replace('_', '.', 1)}", text + "\n")

    def quota(self, path: str, cores: float, *, used: float = 0.0, periods: int = 0, throttled: int = 0) -> None:
        self.group(
            path,
            cpu_max=f"{round(cores * 100_000)} 100000",
            cpu_stat=f"usage_usec {round(used * 1e6)}\nuser_usec {round(used * 1e6)}\nsystem_usec 0\n"
            f"nr_periods {periods}\nnr_throttled {throttled}\nthrottled_usec {throttled * 50_000}",
        )
        self.pressure(f"sys/fs/cgroup{path}/cpu.pressure", 40.0)

    def limit(self, path: str, limit: int | str, *, current: int, inactive_file: int = 0, oom_kills: int = 0) -> None:
        self.group(
            path,
            memory_max=str(limit),
            memory_high="max",
            memory_current=str(current),
            memory_stat=f"anon 1\ninactive_anon 7\ninactive_file {inactive_file}\nactive_file 9",
            memory_events=f"low 0\nhigh 0\nmax 4\noom 1\noom_kill {oom_kills}\noom_group_kill 0",
        )
        self.pressure(f"sys/fs/cgroup{path}/memory.pressure", 10.0)


def _meminfo(total: int, free: int, available: int, swap: int, swap_free: int) -> str:
    figures = {"MemTotal": total, "MemFree": free, "MemAvailable": available, "SwapTotal": swap, "SwapFree": swap_free}
    return "".join(f"{name}: {size // 1024:>12} kB\n" for name, size in figures.items())
