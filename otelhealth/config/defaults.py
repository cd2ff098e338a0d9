"""What is checked when nobody said what to check: this host, or the container around the agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HOST_CHECKS: Mapping[str, Mapping[str, Any]] = {
    "cpu": {"kind": "cpu", "every": "10s", "category": "system"},
    "memory": {"kind": "memory", "every": "10s", "category": "system"},
    "disk": {"kind": "disk", "every": "1m", "category": "system"},
    "load": {"kind": "load", "every": "30s", "category": "system"},
    "network": {"kind": "network", "every": "30s", "category": "system"},
    "fds": {"kind": "fds", "every": "30s", "category": "system"},
}
