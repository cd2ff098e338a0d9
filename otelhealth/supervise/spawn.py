"""Starting a child that does not outlive this process, with the standard streams, files and signals it would have."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from otelhealth.errors import OtelHealthError

NOT_FOUND, NOT_EXECUTABLE = 127, 126
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None


class CannotRunError(OtelHealthError):
    """A command that cannot be started; `code` is what a shell would end with."""

    def __init__(self, sentence: str, remedy: str, code: int) -> None:
        super().__init__(sentence, remedy)
        self.code = code


def find(command: str, path: str | None) -> str:
    """The file that `command` names on `path`; raises CannotRunError where there is none, or none that may be run."""
    if found := shutil.which(command, path=path):
        return found
    lying = shutil.which(command, mode=os.F_OK, path=path)
    if lying is not None or Path(command).is_dir():
        raise CannotRunError(f"{lying or command} cannot be executed", "chmod +x it, or name a command", NOT_EXECUTABLE)
    where = "is no such file" if os.sep in command else "is not found on PATH"
    raise CannotRunError(f"{command} {where}", "write the command as your shell knows it", NOT_FOUND)


def become_reaper() -> bool:
    """Orphans of our children become our children; PID 1 is that anyhow. Whether this system can."""
    return os.getpid() == 1 or (_prctl is not None and _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


class Manner(NamedTuple):
    """How a child lives: its group or session, the descriptors above 2 that it gets (None: all inheritable ones),
    and the signal that Linux sends it when this process ends."""

    apart: Literal["no", "group", "session"] = "no"
    keep: tuple[int, ...] | None = None
    at_our_death: signal.Signals = signal.SIGKILL


def spawn(
    command: Sequence[str], environ: Mapping[str, str], mask: set[int], manner: Manner
) -> subprocess.Popen[bytes]:
    """Start `command` with the signal mask `mask`; this process must have one thread. Raises CannotRunError."""
    try:
        return subprocess.Popen(  # noqa: S603 - the user's own command, as an argument vector
            list(command),
            env=dict(environ),
            close_fds=manner.keep is not None,
            pass_fds=manner.keep or (),
            process_group=0 if manner.apart == "group" else None,
            start_new_session=manner.apart == "session",
            preexec_fn=_before_exec(os.getpid(), mask, manner.at_our_death),  # noqa: PLW1509 - one thread
        )
    except OSError as error:
        name = command[0]
        if error.errno == errno.ENOENT:
            remedy = "mend the interpreter in its first line"
            raise CannotRunError(f"{name} cannot be executed: {error.strerror}", remedy, NOT_EXECUTABLE) from error
        remedy = "a script needs a first line such as #!/bin/sh" if error.errno == errno.ENOEXEC else "see its mode"
        raise CannotRunError(f"{name} cannot be executed: {error.strerror}", remedy, NOT_EXECUTABLE) from error


def _before_exec(parent: int, mask: set[int], at_our_death: signal.Signals) -> Callable[[], None]:
    def prepare() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, at_our_death, 0, 0, 0)
            if os.getppid() != parent:  # it died before we could ask to be told
                os.kill(os.getpid(), signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    return prepare
