"""The Dockerfile's text, and its two steps as they are: a wheel of a clean checkout, installed by itself."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from otelhealth.checks.registry import all_kinds
from tests.stack.loopback import free_ports, until
from tests.stack.programs import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str

    @property
    def options(self) -> dict[str, str]:
        return dict(re.findall(r"--([\w-]+)=(\S+)", self.rest))


def instructions() -> list[Instruction]:
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in joined if line.strip()]


def the(word: str) -> list[Instruction]:
    return [found for found in instructions() if found.word == word]


def copied() -> list[str]:
    """What is taken from the repository."""
    return [source for each in the("COPY") if "from" not in each.options for source in shlex.split(each.rest)[:-1]]


def environment() -> dict[str, str]:
    return {name: value for each in the("ENV") for name, value in (pair.split("=", 1) for pair in each.rest.split())}


def test_every_file_that_is_copied_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert copied()
    for source in copied():
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied())


def test_both_stages_stand_on_the_same_slim_python() -> None:
    assert [each.rest.split()[0] for each in the("FROM")] == ["python:3.13-slim"] * 2


def test_docker_asks_the_probe_at_the_promised_pace() -> None:
    [check] = the("HEALTHCHECK")
    assert check.options == {"interval": "30s", "timeout": "10s", "start-period": "5s", "retries": "3"}
    assert json.loads(check.rest.partition("CMD")[2]) == ["otelhealth", "probe"]


def test_the_agent_runs_without_root_and_keeps_its_state_on_a_volume_of_its_own() -> None:
    words = [each.word for each in instructions()]
    assert the("USER")[-1].rest == "otelhealth"
    assert words.index("USER") < words.index("ENTRYPOINT")
    [volume] = the("VOLUME")
    assert volume.rest == f"{environment()['XDG_STATE_HOME']}/otelhealth"
    assert f"--home-dir {volume.rest} --create-home" in " ".join(each.rest for each in the("RUN"))
    assert environment()["OTELHEALTH_SERVER__LISTEN"] == "0.0.0.0:8082"
    assert json.loads(the("ENTRYPOINT")[0].rest) + json.loads(the("CMD")[0].rest) == ["otelhealth", "run"]


def checked_in() -> list[str]:
    """What a commit of this tree would hold of it."""
    ask = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *copied()]
    names = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The commands of a fresh environment that holds the wheel and what it asks for, no development tools."""
    folder = tmp_path_factory.mktemp("image")
    checkout = folder / "src"
    for name in checked_in():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    [build] = [each.rest for each in the("RUN") if "pip wheel" in each.rest]
    words = shlex.split(build.partition("pip ")[2].replace("/wheels", str(folder / "wheels")))
    subprocess.run([*PIP, *words], cwd=checkout, check=True)
    [wheel] = (folder / "wheels").glob("*.whl")
    venv.create(folder / "venv")
    subprocess.run([*PIP, "--python", str(folder / "venv" / "bin" / "python"), "install", str(wheel)], check=True)
    yield folder / "venv" / "bin"
    shutil.rmtree(folder)


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """The installed command, and the environment of the image with places of this test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "PYTHON", "VIRTUAL"))}
    listen = f"0.0.0.0:{free_ports(('http',))['http']}"
    assert environment().keys() == {"OTELHEALTH_SERVER__LISTEN", "XDG_STATE_HOME"}
    told = {"OTELHEALTH_SERVER__LISTEN": listen, "XDG_STATE_HOME": str(tmp_path)}
    return str(installed / "otelhealth"), clean | told


def test_the_installed_agent_knows_its_version_and_all_kinds(run: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    command, environ = run
    version, kinds = (
        subprocess.run([command, word], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True).stdout
        for word in ("version", "kinds")
    )
    assert re.fullmatch(r"otelhealth \d+\.\d+\.\d+\n", version)
    assert [line.split()[0] for line in kinds.splitlines()[1:]] == list(all_kinds())


def test_the_installed_agent_checks_the_host_with_nothing_unknown(
    run: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    command, environ = run
    done = subprocess.run([command, "check"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    rows = [line.split()[:2] for line in done.stdout.splitlines()[1:]]
    assert {name for _, name in rows} >= {"cpu", "memory", "disk", "load", "network", "fds"}
    assert {status for status, _ in rows} <= {"pass", "warn", "fail"}
    assert done.returncode in {0, 1, 2}


def test_the_health_check_of_the_image_follows_the_agent(run: tuple[str, dict[str, str]], tmp_path: Path) -> None:
    command, environ = run

    def healthy() -> bool:
        return subprocess.run([command, "probe"], env=environ, capture_output=True, check=False).returncode == 0

    assert not healthy()
    with subprocess.Popen([command, "run"], cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL) as agent:
        try:
            until(lambda: healthy() or agent.poll() is not None, "healthy agent")
            assert list(tmp_path.glob("otelhealth/*/otelhealth.db"))
        finally:
            agent.terminate()
            assert agent.wait(20) == 0
    assert not healthy()
