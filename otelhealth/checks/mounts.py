"""The file systems a person would call the disks of this machine, and how full they are.

Pseudo, memory, network and image file systems are left out, as are further mounts of one device.
"""

import os
from collections.abc import Iterable
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from otelhealth.checks.cgroup import read

_REAL = frozenset(
    ("apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfs", "hfsplus", "jfs", "nilfs2", "ntfs")
)
_REAL |= {"ntfs3", "reiserfs", "udf", "ufs", "vfat", "xfs", "zfs"}
_MEMORY = {"cgroup", "cgroup2", "devtmpfs", "overlay", "proc", "ramfs", "rootfs", "squashfs", "sysfs", "tmpfs"}
# Their names hold ids of containers and pods: as attributes they would have no bound.
_RUNTIMES = ("/var/lib/docker/", "/var/lib/containers/", "/var/lib/kubelet/", "/var/lib/containerd/", "/run/", "/snap/")
_ESCAPES = (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\"))


class Mount(NamedTuple):
    """One line of `mountinfo`. `forced_read_only`: the kernel took writing away from a mount made for it."""

    point: str
    device: str
    number: str
    type: str
    read_only: bool
    forced_read_only: bool = False
    bind: bool = False  # a part of a file system


class Usage(NamedTuple):
    """Bytes and inodes of a mount. `free` is what users other than root may still take, as `df` shows it."""

    mount: Mount
    total: int
    used: int
    free: int
    inodes: int
    inodes_free: int

    @property
    def utilization(self) -> float:
        """The share 0..1 that `df` shows."""
        return self.used / (self.used + self.free) if self.used + self.free else 0.0

    @property
    def inodes_utilization(self) -> float | None:
        """The share 0..1; None where inodes are not counted (btrfs, vfat)."""
        return 1 - self.inodes_free / self.inodes if self.inodes else None


class MountTable:
    """All mounts of a process: what is seen on each point, and which of them are the local disks."""

    def __init__(self, mounts: Iterable[Mount]) -> None:
        self.by_point = {mount.point: mount for mount in mounts}  # of several on one point the last is seen

    @cached_property
    def local(self) -> tuple[Mount, ...]:
        """The local disks, each device once under its shortest path; a container's root counts."""
        found: dict[str, Mount] = {}
        for mount in sorted(self.by_point.values(), key=lambda each: (len(each.point), each.point)):
            if mount.point != "/" and (mount.type not in _REAL or mount.point.startswith(_RUNTIMES)):
                continue
            if not (mount.bind and Path(mount.point).is_file()):  # runtimes mount single files, such as /etc/hosts
                found.setdefault(mount.number, mount)
        return tuple(found.values())

    @cached_property
    def blocking(self) -> tuple[str, ...]:
        """The points of mounts that another machine or process answers for, which may hang without end."""
        return tuple(point for point, mount in self.by_point.items() if mount.type not in _REAL | _MEMORY)

    def may_block(self, mounts: Iterable[Mount]) -> bool:
        """Whether asking one of `mounts` may hang: for itself, or for a mount on the way to it."""
        return any(
            (mount.point + "/").startswith(point.rstrip("/") + "/") for mount in mounts for point in self.blocking
        )


@lru_cache(maxsize=4)  # the text changes only when something is mounted
def parse(text: str) -> MountTable:
    """From a `/proc/<pid>/mountinfo`."""
    return MountTable(mount for line in text.splitlines() if (mount := _mount(line)))


def _mount(line: str) -> Mount | None:
    fields, _, rest = line.partition(" - ")
    parts, source = fields.split(), rest.split()
    if len(parts) < 6 or len(source) < 3:
        return None
    # After an I/O error ext4 turns its superblock, not the mount, read-only (since Linux 6.15: `emergency_ro`).
    options, super_options = parts[5].split(","), source[2].split(",")
    forced = "emergency_ro" in super_options or ("rw" in options and "ro" in super_options)
    read_only, bind = "ro" in options or forced, parts[3] != "/"
    return Mount(_plain(parts[4]), source[1], parts[2], source[0], read_only, forced, bind)


def mount_table(root: Path = Path("/")) -> MountTable:
    """Of this process; of the host's first process where the host is seen below another `root`."""
    for process in ("1", "self") if root != Path("/") else ("self",):
        if (text := read(f"{root}/proc/{process}/mountinfo")) is not None:
            return parse(text)
    import psutil  # noqa: PLC0415 - 4 ms, and only where there is no /proc

    return MountTable(
        Mount(part.mountpoint, part.device, part.device, part.fstype, "ro" in part.opts.split(","))
        for part in psutil.disk_partitions(all=False)
    )


def usage(mount: Mount, root: Path = Path("/")) -> Usage:
    """Asks the file system, which may block without end on a network mount: call it in a thread. Raises OSError."""
    place = mount.point if root == Path("/") else str(root / mount.point.lstrip("/"))
    if not hasattr(os, "statvfs"):  # Windows
        import psutil  # noqa: PLC0415 - as above

        shown = psutil.disk_usage(place)
        return Usage(mount, shown.total, shown.used, shown.free, 0, 0)
    stat = os.statvfs(place)
    size = stat.f_frsize
    used = (stat.f_blocks - stat.f_bfree) * size
    return Usage(mount, stat.f_blocks * size, used, stat.f_bavail * size, stat.f_files, stat.f_ffree)


def usages(mounts: Iterable[Mount], root: Path = Path("/")) -> list[Usage]:
    """Of each mount that answers; a volume on the disk that holds a container's root is left out."""
    found: list[Usage] = []
    overlay: tuple[int, int] | None = None
    for mount in mounts:
        try:
            seen = usage(mount, root)
        except OSError:
            continue
        if mount.type == "overlay":
            overlay = seen.total, seen.inodes
        elif overlay == (seen.total, seen.inodes):
            continue
        found.append(seen)
    return found


def _plain(text: str) -> str:
    for escape, character in _ESCAPES:
        text = text.replace(escape, character)
    return text
