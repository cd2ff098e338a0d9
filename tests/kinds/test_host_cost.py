"""The default host checks ask the kernel for its sums: what they open does not grow with sockets or processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, json, os, resource, socket, sys
from otelhealth.checks.host import HostSampler
from otelhealth.checks.registry import all_kinds
from tests.kinds.runs import Runs

asked = None

def hook(event, arguments):
    if asked is not None and event in ("open", "os.listdir", "os.scandir"):
        asked.append(str(arguments[0]))

async def main():
    global asked
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    checks = [all_kinds()[kind](name=kind) for kind in ("cpu", "memory", "disk", "load", "network", "fds")]
    run, sampler, held = Runs(), HostSampler(), []
    sys.addaudithook(hook)
    for sockets in (10, 1000):
        server = socket.create_server(("127.0.0.1", 0), backlog=sockets)
        for _ in range(sockets):
            held += [socket.create_connection(server.getsockname()), server.accept()[0]]
        results = [await run(check) for check in checks]
        asked = []
        results = [await run(check) for check in checks]
        sampler.read_disks()
        sampler.sample()
        seen, asked = asked, None
        print(json.dumps([sorted(seen), results[4].measurements[0].value]))

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts the files of /proc, which only Linux has")
def test_with_a_hundred_times_the_sockets_the_same_files_are_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    (few, low), (many, high) = (json.loads(line) for line in done.stdout.splitlines())
    assert few == many
    assert high - low > 1000
    assert not [path for path in many if path.endswith(("/tcp", "/tcp6")) or "/proc/1" in path]
    assert len(many) < 60
