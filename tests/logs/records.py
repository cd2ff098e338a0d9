"""Log records of any making, and the strictest reader of JSON lines that there is."""

from __future__ import annotations

import json
import logging
from typing import Any, NoReturn


def record(text: str, *arguments: object, level: int = logging.INFO, name: str = "shop.cart", **told: Any) -> Any:
    """A LogRecord as a logger makes it; `told` is its extra, and `exc_info`."""
    exc_info = told.pop("exc_info", None)
    return logging.getLogger(name).makeRecord(
        name, level, "/shop/cart.py", 7, text, arguments, exc_info, "pay", extra=told
    )


def strictly(line: str) -> dict[str, Any]:
    """One JSON object on one line, by RFC 8259 and nothing beyond it; its texts can be written as UTF-8."""
    assert len(line.splitlines()) == 1
    found = json.loads(line, parse_constant=_refuse, object_pairs_hook=_unique)
    assert isinstance(found, dict)
    json.dumps(found, ensure_ascii=False).encode()
    return found


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)
