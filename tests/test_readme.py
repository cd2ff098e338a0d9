"""What README and docs show is true: their configurations load, their programs run, their commands and links exist.

The programs that stay, and what is asked of them, run in tests/exec/test_shown.py.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import BaseModel

from otelhealth.checks.base import Check
from otelhealth.cli.main import COMMANDS
from otelhealth.config.load import load
from otelhealth.config.root import SECTIONS
from tests.inside.asking import get, get_json
from tests.inside.serving import Application
from tests.kinds.runs import Runs, figures
from tests.pages import PAGES, ROOT, blocks, commands, masked, name, write
from tests.stack.loopback import free_ports

README = PAGES["README.md"]
PROGRAMS = [pytest.param(page, block, id=name(block)) for page, block in blocks("python")]


def is_kind(block: str) -> bool:
    return "(Check):" in block


def is_application(block: str) -> bool:
    return re.search(r"^app = ", block, re.MULTILINE) is not None


class Served(Application):
    """An application of a page as `uvicorn NAME:app` serves it, beside the page's other files."""

    def __init__(self, folder: Path, block: str) -> None:
        super().__init__(folder, "")
        self.module = f"{Path(name(block)).stem}:app"
        found = re.search(r'routes\(agent, "(.*?)"\)', block)
        self.prefix = found[1] if found else ""

    def ready(self) -> bool:
        with suppress(OSError):
            return get(f"{self.url}{self.prefix}/health/live")[0] in (200, 404)
        return False


@pytest.mark.parametrize(("page", "shown"), blocks("yaml"))
def test_a_configuration_loads(tmp_path: Path, page: str, shown: str) -> None:
    (tmp_path / "otelhealth.yaml").write_text(shown)
    assert load(tmp_path / "otelhealth.yaml", {}), page


def test_a_program_says_which_file_it_is() -> None:
    assert [(page, block) for page, block in blocks("python") if not name(block)] == []


@pytest.mark.parametrize(("page", "block"), PROGRAMS)
async def test_a_program_runs(tmp_path: Path, page: str, block: str) -> None:
    write(page, tmp_path)
    if is_kind(block):
        await _probe(tmp_path / name(block))
    elif is_application(block):
        with Served(tmp_path, block) as served:
            assert "otelhealth" not in block or get_json(f"{served.url}{served.prefix}/health")["service"] == "shop"
    else:
        environ = os.environ | {"XDG_STATE_HOME": str(tmp_path), "OTELHEALTH_SERVER__LISTEN": "127.0.0.1:0"}
        command = [sys.executable, name(block)]
        assert subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, timeout=60, check=True).stdout


async def _probe(file: Path) -> None:
    """The kind in that file works."""
    found = importlib.util.spec_from_file_location(file.stem, file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Check)]
    [made] = [one for one in classes if one is not Check]
    result = await Runs()(made.model_validate({"name": file.stem}))
    assert result.status == "pass"
    assert set(figures(result)) == {quantity.name for quantity in made.quantities}


def test_the_first_configuration_is_judged_as_shown(tmp_path: Path) -> None:
    write("README.md", tmp_path)
    [port] = free_ports(("service",)).values()
    file = tmp_path / "otelhealth.yaml"
    file.write_text(file.read_text().replace("8000", str(port)))
    command = [sys.executable, "-m", "otelhealth.cli.main", "check"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    shown = re.findall(r"^\$ otelhealth check .*\n(.*)\n(.*)$", README, re.MULTILINE)[0]
    said = [masked(line) for line in done.stdout.splitlines()]
    assert [line for line in shown if masked(line) not in said] == []
    assert done.returncode == 2


@pytest.mark.parametrize(("page", "command"), commands("otelhealth"))
def test_a_command_takes_what_it_is_shown_with(page: str, command: str) -> None:
    words = shlex.split(command.partition(" > ")[0])[1:]
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"otelhealth.cli.{words[0]}").configure(parser)
    assert parser.parse_args(words[1:]), page


def test_every_command_is_shown_and_no_other() -> None:
    assert {line.split()[1] for _, line in commands("otelhealth")} | {"version"} == set(COMMANDS)


def test_every_make_target_it_shows_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {target for page in PAGES.values() for target in re.findall(r"(?:`|\$ )make ([a-z]+)", page)}
    assert {"run", "test", "demo", "bench", "check"} <= shown <= targets


def test_every_extra_it_shows_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    shown = {extra for page in PAGES.values() for extra in re.findall(r"otelhealth\[([a-z]+)\]", page)}
    assert {"auto", "official"} <= shown <= set(extras)


def test_every_setting_it_shows_as_a_variable_exists() -> None:
    variables = {variable for page in PAGES.values() for variable in re.findall(r"OTELHEALTH_[A-Z_]+__[A-Z_]+", page)}
    assert variables
    for variable in variables:
        section, *path = variable.removeprefix("OTELHEALTH_").lower().split("__")
        model: type[BaseModel] = SECTIONS[section]
        for field in path:
            assert field in model.model_fields, variable
            found = model.model_fields[field].annotation
            model = found if isinstance(found, type) and issubclass(found, BaseModel) else BaseModel


@pytest.mark.parametrize("page", PAGES)
def test_every_place_it_links_is_there(page: str) -> None:
    for target, place in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", PAGES[page]):
        file = ((ROOT / page).parent / target).resolve() if target else ROOT / page
        assert file.is_file(), target
        titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if place else []
        assert not place or place in [title.lower().replace(" ", "-") for title in titles]


def test_every_page_is_reached_from_the_readme() -> None:
    assert [page for page in PAGES if page != "README.md" and f"({page})" not in README] == []


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.splitlines()) <= 255
