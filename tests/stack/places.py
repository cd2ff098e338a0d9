"""Where the programs of the stack are, and the few words its builder says about them."""

import os
import subprocess
import time
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
STACK = CACHE / "otelhealth" / "stack"
BIN = STACK / "bin"


class StackError(Exception):
    """A piece is missing; the message names it and its remedy."""


def say(sentence: str) -> None:
    print(f"stack: {sentence}", flush=True)


def spent(since: float) -> str:
    seconds = round(time.monotonic() - since)
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def answer(*command: str | Path) -> str | None:
    """What a program says, or None when it cannot be run or is not content."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None


def log_of(name: str) -> Path:
    path = STACK / "logs" / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
