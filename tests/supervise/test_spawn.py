from __future__ import annotations

import os
from pathlib import Path

import pytest

from otelhealth.supervise.spawn import CannotRunError, Manner, find, spawn

PATH = os.environ["PATH"]


def test_a_command_is_found_on_the_path_or_by_its_own() -> None:
    assert find("sh", PATH) == find(find("sh", PATH), None)


def test_a_command_that_is_not_there_is_127_as_in_a_shell() -> None:
    with pytest.raises(CannotRunError, match="no-such-command is not found on PATH; write") as caught:
        find("no-such-command", PATH)
    assert caught.value.code == 127
    with pytest.raises(CannotRunError, match=r"\./no-such-file is no such file"):
        find("./no-such-file", PATH)


def test_a_file_that_may_not_be_executed_is_126_as_in_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "plain"
    file.write_text("#!/bin/sh\n")
    for place in (file, tmp_path):
        with pytest.raises(CannotRunError, match=f"{place} cannot be executed; chmod") as caught:
            find(str(place), PATH)
        assert caught.value.code == 126


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"echo no first line\n", "needs a first line"), (b"#!/no/such/interpreter\n", "mend the interpreter")],
)
def test_a_script_without_an_interpreter_is_126_too(tmp_path: Path, content: bytes, why: str) -> None:
    file = tmp_path / "script"
    file.write_bytes(content)
    file.chmod(0o755)
    with pytest.raises(CannotRunError, match=why) as caught:
        spawn([str(file)], os.environ, set(), Manner())
    assert caught.value.code == 126
