"""What the engine's parts tell whoever watches them."""

from __future__ import annotations

from collections.abc import Callable

Lag = Callable[[str, float], None]  # lane, seconds


def unheard(*_: object) -> None:
    """Told to nobody."""
