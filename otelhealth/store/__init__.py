"""Keeps states, runs and state changes over restarts: SQLite, one writer thread."""

from __future__ import annotations

from otelhealth.store.settings import Keep, StoreSettings, default_path
from otelhealth.store.writer import Store

__all__ = ["Keep", "Store", "StoreSettings", "default_path"]
