"""Which part a process plays that is instrumented from outside, told by the words it was started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

_FORKING = {"gunicorn"}  # load the application in processes that they fork
_SPAWNING = {"uvicorn", "hypercorn"}  # may start others that serve
_TRACKER = "from multiprocessing.resource_tracker"  # what spawning starts besides: it cleans up behind the others


def program(words: Sequence[str]) -> str:
    """The console script or module behind the interpreter: `gunicorn` for `python -m gunicorn` too; "" for others."""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word == "-m":
            return following.partition(".")[0]
        name = PurePath(word).name
        if name in _FORKING | _SPAWNING:
            return name
        if word == "-c" or word.endswith(".py"):
            break
    return ""


def forks(words: Sequence[str]) -> bool:
    """Whether it only forks those that work: what it had begun, they would share."""
    return program(words) in _FORKING


def helps(words: Sequence[str]) -> bool:
    """Whether no line of the program runs in it."""
    return any(word.startswith(_TRACKER) for word in words)


def leads(words: Sequence[str], environ: Mapping[str, str]) -> bool:
    """Whether its work is done by others that it starts, or it only helps them: the agent belongs to one of those."""
    if helps(words):
        return True
    match program(words):
        case "uvicorn":
            return "--reload" in words or _workers(words, environ.get("WEB_CONCURRENCY", "")) > 1
        case "hypercorn":
            return _workers(words) > 0
    return False


def _workers(words: Sequence[str], told: str = "") -> int:
    for word, following in zip(words, (*words[1:], ""), strict=True):
        if word in ("-w", "--workers"):
            told = following
        elif word.startswith("--workers="):
            told = word.partition("=")[2]
    return int(told) if told.isdecimal() else 1
