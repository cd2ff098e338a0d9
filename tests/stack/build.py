"""Puts the real Collector, Jaeger, Prometheus and Kafka where the tests, the demo and the benchmarks find them.

Run it as `python3 tests/stack/build.py`: a program that is there already costs nothing, a suitable one on PATH is
linked, anything else is built with Go; Kafka's jars are fetched. Needs the standard library only, because it runs
before anything is installed.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, only its own folder is importable

from tests.stack.jars import fetch, jars
from tests.stack.places import BIN, STACK, StackError, answer, log_of, say, spent
from tests.stack.toolchain import Go, find_go

HERE = Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "collector-config"
ROOM_TO_BUILD = 10 * 2**30


@dataclass(frozen=True)
class Part:
    """Programs that come out of one Go module in `modules/`, and what a program found on PATH must be to do instead."""

    module: str
    version: str
    packages: dict[str, str]
    ldflags: str = ""
    at_least: int = 0
    also_called: tuple[str, ...] = ()
    minutes: int = 5

    @property
    def folder(self) -> Path:
        return HERE / "modules" / self.module

    @property
    def wanted(self) -> str:
        """Changes with anything the binary depends on, so that a changed recipe is built anew."""
        digest = hashlib.sha256(f"{self.ldflags} {platform.system()} {platform.machine()}".encode())
        for file in sorted(self.folder.iterdir()):
            digest.update(file.read_bytes())
        return digest.hexdigest()


# What is laid over each other when the Collector is started.
COLLECTORS = (("agent.yaml", "scrape.yaml"), ("edge.yaml",), ("gateway.yaml", "unsampled.yaml"))
PROMETHEUS = "github.com/prometheus/prometheus/cmd"
PARTS = (
    Part("otelcol", "0.155.0", {"otelcol": "."}, also_called=("otelcol-contrib",)),
    Part(
        "jaeger",
        "2.13.0",
        {"jaeger": "github.com/jaegertracing/jaeger/cmd/jaeger"},
        ldflags="-X github.com/jaegertracing/jaeger/internal/version.latestVersion=v2.13.0",
        at_least=2,
    ),
    Part(
        "prometheus",
        "3.15.0",
        {"prometheus": f"{PROMETHEUS}/prometheus", "promtool": f"{PROMETHEUS}/promtool"},
        ldflags="-X github.com/prometheus/common/version.Version=3.15.0",
        at_least=3,
        minutes=7,
    ),
    Part("goload", "1.47.0", {"otel-go-load": "."}, at_least=1, minutes=1),
)


# -- what is there ---------------------------------------------------------------------------------------------------


def stamp_of(program: str) -> Path:
    return STACK / "stamps" / f"{program}.json"


def seen(path: Path) -> list[int]:
    """A linked program that was upgraded must be looked at again."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def present(part: Part, program: str) -> bool:
    try:
        stamp = json.loads(stamp_of(program).read_text())
        return bool(stamp == {"wanted": part.wanted, "seen": seen(BIN / program)})
    except (OSError, ValueError):
        return False


def put(part: Part, program: str, source: Path, *, link: bool) -> None:
    """One rename puts the program there; the stamp follows, so a crash between the two only repeats the work."""
    BIN.mkdir(parents=True, exist_ok=True)
    stamp_of(program).parent.mkdir(parents=True, exist_ok=True)
    if link:
        fresh = BIN / f".{program}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(source)
        source = fresh
    source.replace(BIN / program)
    stamp = stamp_of(program).with_suffix(".new")
    stamp.write_text(json.dumps({"wanted": part.wanted, "seen": seen(BIN / program)}))
    stamp.replace(stamp_of(program))


# -- on PATH ---------------------------------------------------------------------------------------------------------


def unsuitable(part: Part, program: str, path: Path) -> str | None:
    """Why a program found on PATH cannot be used, or None. The Collector must accept every shipped configuration."""
    if part.module == "otelcol":
        options = [[f"--config={CONFIGS / name}" for name in names] for names in COLLECTORS]
        accepted = all(answer(path, "validate", *each) is not None for each in options)
        return None if accepted else "it does not accept collector-config/"
    version = re.search(r"\bv?(\d+)\.\d+\.\d+", answer(path, "version" if program == "jaeger" else "--version") or "")
    if version is None or int(version[1]) < part.at_least:
        return f"its version is {version[0] if version else 'unknown'}, wanted is {part.at_least} or newer"
    return None


def link_from_path(part: Part, program: str) -> bool:
    elsewhere = os.pathsep.join(entry for entry in os.get_exec_path() if Path(entry).resolve() != BIN.resolve())
    for name in (program, *part.also_called):
        found = shutil.which(name, path=elsewhere)
        if found is None:
            continue
        reason = unsuitable(part, program, Path(found))
        if reason is None:
            put(part, program, Path(found).resolve(), link=True)
            say(f"{program}: {found} is linked")
            return True
        say(f"{program}: {found} is left aside, {reason}")
    return False


# -- building --------------------------------------------------------------------------------------------------------


def build(part: Part, programs: list[str], go: Go) -> None:
    begun = time.monotonic()
    log = log_of(part.module)
    log.unlink(missing_ok=True)
    say(f"building {' and '.join(programs)} {part.version}, about {part.minutes} min on two cores; log: {log}")
    work = STACK / "work" / part.module
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(part.folder, work)
    if (work / "manifest.yaml").exists():
        options = ["--config=manifest.yaml", "--skip-get-modules", "--skip-compilation"]
        go.run(["tool", "builder", *options], work, log)
    for program in programs:
        ldflags = f"-s -w {part.ldflags}".strip()
        go.run(["build", "-ldflags", ldflags, "-o", f"made/{program}", part.packages[program]], work, log)
        made = work / "made" / program
        size = made.stat().st_size / 1e6
        put(part, program, made, link=False)
        say(f"{program} {part.version} is built: {size:.0f} MB, {spent(begun)}")
    shutil.rmtree(work)


@contextmanager
def alone() -> Iterator[None]:
    """Two builds at once would take twice the memory and the same time: the second waits and finds the work done."""
    STACK.mkdir(parents=True, exist_ok=True)
    with (STACK / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def missing(part: Part) -> list[str]:
    return [program for program in part.packages if not present(part, program)]


def build_missing() -> None:
    for part in PARTS:
        for program in missing(part):
            link_from_path(part, program)
    if jars() is None:
        fetch()
    todo = [(part, missing(part)) for part in PARTS if missing(part)]
    if not todo:
        return
    free = shutil.disk_usage(STACK).free
    if free < ROOM_TO_BUILD:
        wanted = f"{ROOM_TO_BUILD / 2**30:.0f} GiB for the time of the build"
        raise StackError(
            f"{STACK} has {free / 2**30:.0f} GiB free, and needs {wanted}; free some, or set XDG_CACHE_HOME"
        )
    begun = time.monotonic()
    go = find_go([part.folder for part in PARTS])
    for part, programs in todo:
        build(part, programs, go)
    for leftover in ("go", "work", "toolchain"):
        shutil.rmtree(STACK / leftover, ignore_errors=True)
    say(f"all there after {spent(begun)}: {BIN}")


def interrupted(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    if jars() and not any(missing(part) for part in PARTS):
        return 0
    signal.signal(signal.SIGTERM, interrupted)
    try:
        with alone():
            build_missing()
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
