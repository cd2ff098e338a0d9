"""What is said where there is no log: in a process that supervises, or in a program that has not begun."""

from __future__ import annotations

import sys
from contextlib import suppress


def say(sentence: str) -> None:
    """A line on stderr; one that is closed or full is no reason to stop."""
    with suppress(OSError, ValueError, AttributeError):  # closed by the program; None where it was so from the start
        sys.stderr.write(f"otelhealth: {sentence}\n")
        sys.stderr.flush()
