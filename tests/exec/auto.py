"""A Python that has `otelhealth[auto]`, made once and kept in the cache.

The extra pins a line of OpenTelemetry that the rest of the suite does not have.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import venv
from functools import cache
from pathlib import Path

from tests.stack.places import CACHE
from tests.supervise.running import ROOT

_MORE = (
    "httpx>=0.28",
    "gunicorn>=27",
    "uvicorn-worker>=0.4",
    "hypercorn>=0.18",
    "requests>=2.32",
    "celery>=5.5",
    "django>=5.2",
)


@cache
def auto_bin() -> Path:
    """The directory of its programs. Takes some 20 s the first time."""
    told = (str(ROOT), sys.version, (ROOT / "pyproject.toml").read_text(), *_MORE)
    folder = CACHE / "otelhealth" / "auto" / hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            venv.create(folder, clear=True)
            pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--no-compile"]
            quietly = ["--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *quietly, "--editable", f"{ROOT}[auto]", *_MORE], check=True)
            (folder / "made").touch()
    return folder / "bin"
