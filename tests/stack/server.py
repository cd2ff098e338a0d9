"""One real server as a process: started until it is ready, stopped without a trace. Standard library only."""

import atexit
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from tests.stack.child import spawn, undisturbed
from tests.stack.loopback import answers, free_ports, until
from tests.stack.places import BIN

START_WITHIN = 60.0
STOP_WITHIN = 15.0
PORT_TRIES = 5


class ServerError(Exception):
    """A server is missing or did not come up; the message holds the end of its log."""


class Server:
    """A program, its folder and its log. Its ports are chosen at the first start and kept for the later ones."""

    program: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]] = ("http",)
    health_path: ClassVar[str] = "/health/live"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log = folder / f"{self.program}.log"
        self.ports: dict[str, int] = {}
        self.wishes: Mapping[str, int] = {}  # ports to take where they are free
        self._process: subprocess.Popen[bytes] | None = None
        self._log_from = 0

    # What a kind of server says of itself.

    def command(self) -> list[str]:
        program = BIN / self.program
        if not program.exists():
            raise ServerError(f"{self.program} is not there; build it once: python3 tests/stack/build.py")
        return [str(program), *self.arguments()]

    def arguments(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        return {}

    @property
    def url(self) -> str:
        return f"http://{self.address('http')}"

    @property
    def health_url(self) -> str:
        return f"{self.url}{self.health_path}"

    def ready(self) -> bool:
        return answers(self.health_url)

    # What all of them do.

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Returns when the server says that it is ready."""
        keep = bool(self.ports)
        for attempt in range(1 if keep else PORT_TRIES):
            self.ports = self.ports if keep else free_ports(self.port_names, {} if attempt else self.wishes)
            if self._came_up():
                return self
            tail = self.tail()
            self.kill()
            if "address already in use" not in tail:
                break
        if not keep:
            self.ports = {}
        raise ServerError(f"{self.program} did not become ready; the end of its log:\n{tail}")

    def _launch(self) -> None:
        command = self.command()
        self._log_from = self.log.stat().st_size if self.log.exists() else 0
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
        with self.log.open("ab") as log, undisturbed():
            atexit.register(self.kill)  # an interrupt between start and the body of a `with` meets no __exit__
            self._process = spawn(command, self.folder, inherited | dict(self.environment()), log)

    def _came_up(self) -> bool:
        try:
            self._launch()
            until(lambda: self.ready() or not self.running, f"ready {self.program}", START_WITHIN)
        except TimeoutError:
            return False
        except BaseException:  # Ctrl-C in the middle of a start must not leave the server behind
            self.kill()
            raise
        return self.running

    def wait(self) -> int:
        """Its exit code once it has ended by itself or by a signal sent to `pid`."""
        if self._process is None:
            raise ServerError(f"{self.program} was not started")
        return self._process.wait(STOP_WITHIN)

    def stop(self) -> None:
        """Asks politely, then does not ask."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_WITHIN)
        finally:
            self.kill()

    def kill(self) -> None:
        """As a crash: nothing is flushed. Who asks at its ports is refused, and no other takes one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            atexit.unregister(self.kill)

    def tail(self, lines: int = 40) -> str:
        """The end of what it has written since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_from)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            print(f"--- {self.program}, {self.log} ---\n{self.tail()}", file=sys.stderr)
        self.stop()
