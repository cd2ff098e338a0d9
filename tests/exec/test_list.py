"""`exec --list`, in an environment with the official instrumentations and in one without."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.exec.auto import auto_bin
from tests.exec.executed import OTELHEALTH


def listed(program: str | Path) -> str:
    return subprocess.run([program, "exec", "--list"], capture_output=True, text=True, check=True).stdout


def test_what_is_here_is_listed_with_how_it_can_be_instrumented() -> None:
    shown = listed(OTELHEALTH)
    assert re.search(r"^uvicorn +\d\S+ +otelhealth$", shown, re.MULTILINE)
    assert re.search(r"^sqlite3 +of Python 3\.\d+ +nothing: pip install 'otelhealth\[auto\]'$", shown, re.MULTILINE)
    assert "not installed here: " in shown
    assert shown.endswith("pip install 'otelhealth[auto]' brings the official instrumentations of all of them\n")


def test_with_the_extra_each_library_has_its_instrumentation() -> None:
    shown = listed(auto_bin() / "otelhealth")
    for name in ("httpx", "requests", "sqlite3", "urllib3"):
        found = rf"^{name} +\S.* opentelemetry-instrumentation-{name} 0\.\S+$"
        assert re.search(found, shown, re.MULTILINE), shown
    assert "nothing: " not in shown
