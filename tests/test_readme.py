"""What README shows is true: its configuration loads, its programs run."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otelhealth.checks.base import Check
from otelhealth.cli.main import COMMANDS
from otelhealth.config.load import load
from tests.kinds.runs import Runs, figures

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    (tmp_path / "otelhealth.yaml").write_text(blocks("yaml")[0])
    return tmp_path


def test_the_configuration_loads(configured: Path) -> None:
    assert set(load(configured / "otelhealth.yaml", {}).checks) == {"api", "db-port", "disk"}


@pytest.mark.parametrize("shown", blocks("yaml")[1:])
def test_every_other_configuration_loads(tmp_path: Path, shown: str) -> None:
    (tmp_path / "otelhealth.yaml").write_text(shown)
    assert load(tmp_path / "otelhealth.yaml", {})


def test_the_program_with_an_agent_in_it_runs(configured: Path) -> None:
    environ = os.environ | {"OTELHEALTH_SERVER__LISTEN": "127.0.0.1:0", "XDG_STATE_HOME": str(configured)}
    (configured / "shop.py").write_text(blocks("python")[0])
    done = subprocess.run(
        [sys.executable, "shop.py"], cwd=configured, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert "'stock-is-consistent': {'name': 'stock-is-consistent', 'kind': 'python'" in done.stdout


async def test_the_kind_works(tmp_path: Path) -> None:
    file = tmp_path / "uptime.py"
    file.write_text(blocks("python")[1])
    found = importlib.util.spec_from_file_location("uptime", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    check: Check = module.UptimeCheck(name="uptime")
    result = await Runs()(check)
    assert result.message.startswith("up for ")
    assert figures(result)["uptime"] > 0


def test_every_command_it_shows_exists_and_every_command_is_shown() -> None:
    shown = re.findall(r"^\$ otelhealth ([a-z]+)", README, re.MULTILINE)
    assert {*shown, "version"} == set(COMMANDS)


def test_every_make_target_it_shows_exists() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    shown = set(re.findall(r"(?:`|\$ )make ([a-z]+)", README))
    assert (
        {"run", "test", "demo", "bench", "check"} <= shown <= set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    )


def test_every_file_it_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (Path(__file__).parents[1] / link).is_file()] == []
