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
from tests.inside.asking import get, get_json
from tests.inside.serving import Application
from tests.kinds.runs import Runs, figures
from tests.waiting import eventually

README = (Path(__file__).parents[1] / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def program(with_it: str) -> str:
    """The one in which that stands."""
    [found] = [block for block in blocks("python") if with_it in block]
    return found


class Served(Application):
    """A program of README as `uvicorn shop:app` serves it."""

    def __init__(self, folder: Path, text: str, prefix: str = "") -> None:
        super().__init__(folder, "")
        self.module = "shop:app"
        self.prefix = prefix
        (folder / "shop.py").write_text(text)

    @property
    def health_url(self) -> str:
        return f"{self.url}{self.prefix}/health/live"


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
    (configured / "shop.py").write_text(program("async with Agent("))
    done = subprocess.run(
        [sys.executable, "shop.py"], cwd=configured, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert "'stock-is-consistent': {'name': 'stock-is-consistent', 'kind': 'python'" in done.stdout


def test_the_instrumented_application_answers_as_shown(tmp_path: Path) -> None:
    shown = re.findall(r"^\$ curl -s http://127.0.0.1:8000(/\S+)\n(.*)$", README, re.MULTILINE)
    assert [path for path, _ in shown] == ["/items/tea", "/health/ready"]
    with Served(tmp_path, program("instrument(Starlette(")) as shop:
        eventually(lambda: [get(f"{shop.url}{path}")[1].decode() for path, _ in shown] == [told for _, told in shown])


def test_the_application_put_together_by_hand_answers(tmp_path: Path) -> None:
    with Served(tmp_path, program("AgentMiddleware"), "/ops") as shop:
        assert get_json(f"{shop.url}/ops/health")["service"] == "shop"
        assert get(f"{shop.url}/ops/metrics")[0] == 200


def test_the_watched_functions_run(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program("@monitor_task")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "2\n"


async def test_the_kind_works(tmp_path: Path) -> None:
    file = tmp_path / "uptime.py"
    file.write_text(program("class UptimeCheck"))
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
