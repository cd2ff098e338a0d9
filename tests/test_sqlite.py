"""SQLite beside forks: a child never finds what another thread of its parent had locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FORKS = 60
BESIDE_FORKS = f"""
import os, sys, threading
from pathlib import Path
from otelhealth.sqlite import Connection

def work(name):
    path = Path(name)
    connection = Connection(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(10)])
    connection.close()
    path.unlink()

def work_on(name):
    while True:
        work(name)

for number in range(2):
    threading.Thread(target=work_on, args=(f"beside-{{number}}",), daemon=True).start()
for number in range({FORKS}):
    child = os.fork()
    if not child:
        work(f"child-{{number}}")
        os._exit(0)
    print(child, flush=True)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_child_that_is_forked_while_threads_use_sqlite_uses_it_too(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", BESIDE_FORKS], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        children, _ = program.communicate(timeout=60)
    finally:
        program.kill()
    assert (program.returncode, len(children.split())) == (0, FORKS)
