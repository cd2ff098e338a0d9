"""The end of forked children: they leave by `os._exit`, without `atexit`, but what forks them has ends of its own."""

from __future__ import annotations

import os
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from types import ModuleType
from typing import Any

_PATIENCE = 3.0  # s for the workers of a pool to end by themselves
_BEFORE_ITS_OWN = 16  # priority of a finalizer; that of a pool, which kills its workers, has 15


def at_their_end(end: Callable[[], object]) -> None:
    """Call `end` in each child of `multiprocessing` and of Celery's prefork pool, after what the program does then.

    One that is killed, by SIGTERM too, has no end.
    """
    os.register_at_fork(after_in_child=lambda: _forked(end))


def _forked(end: Callable[[], object]) -> None:
    if util := sys.modules.get("multiprocessing.util"):  # it forgets finalizers as its child begins, later than here
        util.register_after_fork(end, lambda _: util.Finalize(None, end, exitpriority=-1))
    if celery := sys.modules.get("celery.signals"):
        celery.worker_process_shutdown.connect(lambda **_: end(), weak=False, dispatch_uid="otelhealth")


def let_pools_end(module: ModuleType) -> None:
    """Let the workers of a `multiprocessing.Pool` come to their end: it kills them, also where `with` leaves it."""
    make: Callable[..., None] = module.Pool.__init__
    terminate: Callable[..., None] = module.Pool.terminate

    @wraps(make)
    def make_and_remember(pool: Any, *arguments: Any, **named: Any) -> None:
        make(pool, *arguments, **named)
        if not isinstance(pool, module.ThreadPool):  # at the program's end, where nobody has ended the pool
            there = weakref.ref(pool)
            module.util.Finalize(pool, lambda: _let_end(there()), exitpriority=_BEFORE_ITS_OWN)

    @wraps(terminate)
    def let_end_and_terminate(pool: Any) -> None:
        if not isinstance(pool, module.ThreadPool):
            _let_end(pool)
        terminate(pool)

    module.Pool.__init__, module.Pool.terminate = make_and_remember, let_end_and_terminate


def _let_end(pool: Any) -> None:
    """Where it has nothing left to do; one at work is killed at once, as ever."""
    with suppress(AttributeError, AssertionError):  # it is gone, or a pool of another making; of another process
        if pool._cache:  # noqa: SLF001 - what it is still to do
            return
        pool.close()
        until = time.monotonic() + _PATIENCE
        for each in (pool._worker_handler, *pool._pool):  # noqa: SLF001 - which `join` waits for, without a limit
            each.join(max(0.0, until - time.monotonic()))
