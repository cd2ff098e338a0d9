"""The end of forked children: they leave by `os._exit`, without `atexit`, but what forks them has ends of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def at_their_end(end: Callable[[], object]) -> None:
    """Call `end` in each child of `multiprocessing` and of Celery's prefork pool, after what the program does then.

    One that is killed, by SIGTERM too, has no end: `Pool` as a context manager does that to its own.
    """
    os.register_at_fork(after_in_child=lambda: _forked(end))


def _forked(end: Callable[[], object]) -> None:
    if util := sys.modules.get("multiprocessing.util"):  # it forgets finalizers as its child begins, later than here
        util.register_after_fork(end, lambda _: util.Finalize(None, end, exitpriority=-1))
    if celery := sys.modules.get("celery.signals"):
        celery.worker_process_shutdown.connect(lambda **_: end(), weak=False, dispatch_uid="otelhealth")
