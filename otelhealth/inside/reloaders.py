"""The end below a development server that starts itself anew at each change: `flask run --debug`, Django's runserver.

What waits for the process that serves kills that as soon as it is to end itself.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial, wraps
from types import FrameType, ModuleType
from typing import Any

_PATIENCE = 5.0  # s for the process that serves to end by itself


def werkzeug(module: ModuleType) -> None:
    """Of its module `_reloader`."""
    _let_end(module.ReloaderLoop)


def django(module: ModuleType) -> None:
    """Of its module `utils.autoreload`."""
    _let_end(module)


def _let_end(owner: Any) -> None:
    restart: Callable[..., int] = owner.restart_with_reloader

    @wraps(restart)
    def restart_and_let_end(*arguments: Any) -> int:
        before = signal.getsignal(signal.SIGTERM)
        if callable(before):  # the reloader's own, which leaves by an exception
            signal.signal(signal.SIGTERM, partial(_end, before))
        return restart(*arguments)

    owner.restart_with_reloader = restart_and_let_end


def _end(before: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None) -> None:
    """Pass it on and wait for what serves, then do as before; a second signal does so at once."""
    import psutil  # noqa: PLC0415 - only where it ends: no program waits for it at the start

    signal.signal(number, before)
    serving = psutil.Process().children()
    for process in serving:
        process.terminate()
    psutil.wait_procs(serving, timeout=_PATIENCE)
    before(number, frame)
