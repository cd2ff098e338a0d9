from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from otelhealth.telemetry.detector import InstanceDetector, instance, without_instance

BASE = "0b5c8a5e-8f0e-5a5e-9a6d-0a4b6ac6a5f1"
TOLD = """
import os, sys
from otelhealth.telemetry.detector import InstanceDetector
told = lambda: print(InstanceDetector().detect().attributes.get("service.instance.id"), flush=True)
told(); told()
if "fork" in sys.argv and os.fork() == 0:
    told(); os._exit(0)
input()
"""


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environ = os.environ | {"OTELHEALTH_BESIDE": str(folder), "OTELHEALTH_INSTANCE": BASE}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", TOLD, *arguments], env=environ, stdin=pipe, stdout=pipe, text=True)


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_each_living_process_has_its_own_id_and_the_next_one_that_of_the_dead(tmp_path: Path) -> None:
    with begin(tmp_path) as first:
        assert [line(first), line(first)] == [BASE, BASE]
        with begin(tmp_path) as second:
            assert line(second) == instance(BASE, 1)
            first.communicate("\n")
            with begin(tmp_path) as third:
                assert line(third) == BASE
                third.communicate("\n")
            second.communicate("\n")


def test_after_a_fork_the_child_has_another_and_the_parent_keeps_its_own(tmp_path: Path) -> None:
    with begin(tmp_path, "fork") as parent:
        assert [line(parent) for _ in range(3)] == [BASE, BASE, instance(BASE, 1)]
        with begin(tmp_path) as other:
            assert line(other) == instance(BASE, 1)
            other.communicate("\n")
        parent.communicate("\n")


def test_ids_are_stable_and_differ() -> None:
    ids = [instance(BASE, slot) for slot in range(50)]
    assert ids == [instance(BASE, slot) for slot in range(50)]
    assert len({str(uuid.UUID(found)) for found in ids}) == 50


@pytest.mark.parametrize("environ", [{}, {"OTELHEALTH_INSTANCE": BASE, "OTELHEALTH_BESIDE": "/proc/no/such"}])
def test_without_a_place_for_locks_the_sdk_keeps_its_own(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert InstanceDetector().detect().attributes == {}


def test_only_the_instance_is_taken_out_of_the_attributes() -> None:
    assert without_instance("a=1,service.instance.id=x%2C, b=2") == "a=1, b=2"
    assert without_instance("") == ""
