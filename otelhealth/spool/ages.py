"""The spool's own clock: it goes on evenly when the wall clock jumps, and over a restart."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from otelhealth.clock import Clock

JUMP = 60.0  # s by which the wall clock has to differ to have jumped
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Anchor(NamedTuple):
    """How the times in a file are told: by the monotonic clock of one boot plus `began`, or Unix time plus `offset`."""

    boot: str
    began: float
    offset: float

    @classmethod
    def of(cls, text: str) -> Anchor | None:
        """As `str` gave it; None where it is empty."""
        boot, _, numbers = text.partition(" ")
        began, _, offset = numbers.partition(" ")
        return cls(boot, float(began), float(offset)) if text else None

    def __str__(self) -> str:
        return f"{self.boot or '-'} {self.began} {self.offset}"


class Ages:
    """Goes on from `kept`: within one boot by the monotonic clock, else by the wall clock.

    It never begins before `latest`, the newest that waits already.
    """

    def __init__(self, clock: Clock, kept: Anchor | None = None, latest: float = 0.0) -> None:
        self._clock = clock
        boot = _boot_id()
        if kept is not None and boot and kept.boot == boot:
            began = kept.began
        else:
            offset = max(kept.offset if kept else 0.0, latest - clock.time())
            began = clock.time() + offset - clock.monotonic()
        self.anchor = Anchor(boot, began, 0.0)
        self.jumped()

    def now(self) -> float:
        """Seconds."""
        return self.anchor.began + self._clock.monotonic()

    def jumped(self) -> bool:
        """Whether the wall clock has jumped since this was asked: `anchor` is another then, and to be kept."""
        offset = self.now() - self._clock.time()
        if abs(offset - self.anchor.offset) < JUMP:
            return False
        self.anchor = self.anchor._replace(offset=offset)
        return True


def _boot_id() -> str:
    """Of the running kernel; "" where the system tells none."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""
