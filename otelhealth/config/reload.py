"""What a reload changes at once, and what waits for a restart."""

from __future__ import annotations

from dataclasses import replace

from otelhealth.config.root import SECTIONS, Config

RESTART_ONLY = tuple(name for name in SECTIONS if name not in ("defaults", "status"))


def restart_needed(old: Config, new: Config) -> list[str]:
    """The sections that differ but keep their old value until a restart."""
    return [name for name in RESTART_ONLY if getattr(old, name) != getattr(new, name)]


def reloaded(old: Config, new: Config) -> Config:
    """What is in force after a reload: `new`'s defaults, checks and status with `old`'s sections of RESTART_ONLY."""
    return replace(new, **{name: getattr(old, name) for name in RESTART_ONLY})
