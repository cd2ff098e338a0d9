from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otelhealth.checks.mounts import Mount, mount_table, parse, usage, usages

DOCKER = """\
600 500 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/x
601 600 0:60 / /proc rw,nosuid - proc proc rw
602 600 0:61 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k
610 600 254:1 /var/lib/docker/containers/abc/hosts /etc/hosts rw,relatime - ext4 /dev/vda1 rw
611 600 254:2 / /data rw,relatime - xfs /dev/vdb rw
612 600 254:2 /sub /data/again rw,relatime - xfs /dev/vdb rw
613 600 0:70 / /mnt/nfs rw,relatime - nfs4 server:/export rw
614 600 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
615 600 254:3 / /mnt/nfs/scratch rw - ext4 /dev/vdc rw
616 600 254:9 / /var/lib/kubelet/pods/0a1b/volumes/x rw - ext4 /dev/vdz rw
"""


def points(text: str) -> list[str]:
    return [mount.point for mount in parse(text).local]


def test_the_local_disks_are_the_root_and_each_real_device_once() -> None:
    assert points(DOCKER) == ["/", "/data", "/mnt/nfs/scratch"]


@pytest.mark.parametrize(
    ("line", "read_only", "forced"),
    [
        ("1 0 254:0 / /a rw - ext4 /dev/a rw", False, False),
        ("1 0 254:0 / /a ro - ext4 /dev/a ro", True, False),
        ("1 0 254:0 / /a rw,relatime shared:1 - ext4 /dev/a ro,errors=remount-ro", True, True),
        ("1 0 254:0 / /a rw - ext4 /dev/a rw,emergency_ro", True, True),
    ],
)
def test_a_superblock_that_turned_read_only_below_a_writable_mount_is_told_from_a_choice(
    line: str, read_only: bool, forced: bool
) -> None:
    (mount,) = parse(line).local
    assert (mount.read_only, mount.forced_read_only) == (read_only, forced)


def test_a_mount_on_or_below_a_network_one_may_hang_and_others_may_not() -> None:
    table = parse(DOCKER)
    slow = {point for point, mount in table.by_point.items() if table.may_block((mount,))}
    assert slow == {"/mnt/nfs", "/mnt/nfs/scratch"}


def test_a_point_with_a_space_is_read_as_it_is() -> None:
    assert points("1 0 254:0 / /my\\040disk rw - ext4 /dev/a rw") == ["/my disk"]


def test_the_usage_is_what_the_system_says_of_a_disk() -> None:
    mount = Mount("/", "/dev/root", "254:0", "ext4", read_only=False)
    seen, shown = usage(mount), shutil.disk_usage("/")
    assert seen.total == shown.total
    assert seen.used == pytest.approx(shown.used, rel=0.05)
    assert 0 < seen.utilization < 1


def test_a_volume_on_the_disk_that_holds_a_containers_root_is_not_shown_twice(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    root = Mount("/", "overlay", "0:50", "overlay", read_only=False)
    volume = Mount("/data", "/dev/vda1", "254:1", "ext4", read_only=False, bind=True)
    assert [each.mount.point for each in usages((root, volume), tmp_path)] == ["/"]


def test_a_mount_that_does_not_answer_is_left_out(tmp_path: Path) -> None:
    assert usages((Mount("/gone", "/dev/x", "1:1", "ext4", read_only=False),), tmp_path) == []


def test_the_hosts_first_process_tells_its_mounts_where_the_host_is_seen_elsewhere(tmp_path: Path) -> None:
    for process, line in (("1", "1 0 254:0 / /host-disk rw - ext4 /dev/a rw"), ("self", DOCKER)):
        place = tmp_path / "proc" / process
        place.mkdir(parents=True)
        (place / "mountinfo").write_text(line)
    assert [mount.point for mount in mount_table(tmp_path).local] == ["/host-disk"]


def test_without_a_mountinfo_psutil_lists_the_disks(tmp_path: Path) -> None:
    assert isinstance(mount_table(tmp_path).by_point, dict)
