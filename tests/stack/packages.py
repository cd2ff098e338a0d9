"""A Python package that brings a program, in an environment of its own. Standard library only."""

import subprocess
import venv
from pathlib import Path

from tests.stack.places import StackError


def install(package: str, home: Path, log: Path, instead: str) -> Path:
    """That environment's Python; StackError names what can be installed on the machine instead."""
    try:
        venv.create(home, clear=True, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise StackError(f"this Python cannot make a venv; install python3-venv, or {instead}") from error
    python = home / "bin" / "python"
    with log.open("ab") as out:
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", package]
        if subprocess.run(pip, stdout=out, stderr=out, check=False).returncode:
            raise StackError(f"pip could not install {package}; check its index, or install {instead}\nlog: {log}")
    return python
