"""A client that asks as anybody would."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def get(url: str, **headers: str) -> tuple[int, bytes]:
    """Status and body; `headers` with `_` for `-`."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def get_json(url: str, **headers: str) -> Any:
    return json.loads(get(url, **headers)[1])
