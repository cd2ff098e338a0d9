"""The promises the repo keeps by itself: sizes, names, one file and one test and one row per kind."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from otelhealth.checks.base import Check
from otelhealth.checks.registry import all_kinds
from otelhealth.units import quantity_text

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "otelhealth"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TOP = {
    *("pyproject.toml", "README.md", "Makefile", "LICENSE", "otelhealth", "collector-config", "deploy"),
    *("tests", "benchmarks", "examples", "docs"),
}
BROAD_EXCEPT = {
    "engine/runner.py": "whatever a probe raises, a run gives a result",
    "engine/threads.py": "the runner's other half: sync code runs there, and what it raises is handed to the runner",
    "inside/boot/sitecustomize.py": "a service starts, whatever its instrumentation raises",
    "inside/distro.py": "an instrumentation that fails is said, and takes no other with it",
    "checks/registry.py": "a broken plug-in is named, whatever it raises",
}
LAZY_IMPORT = {
    "agent.py": "taking OTLP costs 20 ms of a start and is for those who ask",
    "cli/exec.py": "the supervisor stays small",
    "inside/distro.py": "a program below `exec` has no agent",
    "inside/resident.py": "a process that only starts others has no agent: it costs 15 MB and half a second",
    "inside/servers.py": "a program that is instrumented and serves nothing pays for no middleware",
    "rounds.py": "an agent that is alone has no use for eleven modules of workers",
    "telemetry/setup.py": "the SDK costs 10 MB and is for user code only",
    "telemetry/outlet.py": "grpc costs 15 MB and is for those who ask",
}


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in SOURCES:
        yield path, ast.parse(path.read_text())


def code_lines(node: ast.AST, text: list[str]) -> int:
    """Lines of code, without blank ones, comments and docstrings."""
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", len(text))
    documented: set[int] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(inner):
            documented |= set(range(inner.body[0].lineno, (inner.body[0].end_lineno or 0) + 1))
    numbers = (number for number in range(first, last + 1) if number not in documented)
    return sum(1 for number in numbers if text[number - 1].strip() and not text[number - 1].strip().startswith("#"))


def test_the_top_level_holds_only_the_rooms_of_the_house() -> None:
    seen = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in seen if not name.startswith(".")} <= TOP


def test_files_functions_and_classes_stay_small() -> None:
    large = []
    for path, tree in trees():
        text = path.read_text().splitlines()
        large += [f"{path.name}: {len(text)} lines"] if len(text) >= 300 else []
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                limit = 150 if isinstance(node, ast.ClassDef) else 40
                if (lines := code_lines(node, text)) > limit:
                    large.append(f"{path.name}: {node.name} has {lines} lines of code")
    assert large == []


def test_no_file_is_called_utils_helpers_common_or_manager() -> None:
    assert [path for path in SOURCES if re.search(r"util|helper|common|manager|misc", path.stem)] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path, tree in trees() if tree.body and ast.get_docstring(tree) is None]
    assert silent == []


def test_a_source_that_is_named_is_there() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in tracked()}
    lost = [
        f"{path.name}: {named}"
        for path in SOURCES
        for named in re.findall(r"[\w/]+\.py\b", path.read_text())
        if not any(name.endswith(f"/{named}") or name == named for name in names)
    ]
    assert lost == []


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names of what it catches; "" for everything."""
    named = [node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)] if handler.type else [""]
    return set(named)


def test_only_the_runner_and_the_plug_in_loading_catch_every_exception() -> None:
    broad = set()
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and caught(node) & {"", "Exception", "BaseException"}:
                reraises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
                if not reraises:
                    broad.add(path.relative_to(PACKAGE).as_posix())
    assert broad == set(BROAD_EXCEPT)


def test_own_modules_are_imported_at_the_top_but_for_the_doors() -> None:
    late = []
    for path, tree in trees():
        if path.relative_to(PACKAGE).as_posix() in LAZY_IMPORT:
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                late += [
                    f"{path.name}:{node.lineno}"
                    for node in ast.walk(function)
                    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("otelhealth")
                ]
    assert late == []


def test_every_lint_exception_has_its_reason_on_its_line() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked()
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"# (noqa|type: ignore)", line)
        and not re.search(r"# (noqa: [A-Z0-9, ]+|type: ignore\[[a-z-, ]+\])\s+(-|#) \S", line)
    ]
    assert bare == []
    settings = (ROOT / "pyproject.toml").read_text()
    section = settings[settings.index("[tool.ruff.lint]") : settings.index("[tool.importlinter]")]
    ignores = re.findall(r'^    "[A-Z]+\d*",.*$', section, re.MULTILINE)
    assert ignores
    assert [line for line in ignores if "#" not in line] == []


@pytest.mark.parametrize("kind", all_kinds())
def test_a_kind_is_one_source_file_one_test_file_and_one_row_of_the_readme(kind: str) -> None:
    assert (PACKAGE / "kinds" / f"{kind}.py").is_file()
    assert (ROOT / "tests" / "kinds" / f"test_{kind}.py").is_file()
    rows = re.findall(rf"^\| `{kind}` \| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows == [all_kinds()[kind].summary]


@pytest.mark.parametrize(("kind", "check"), all_kinds().items(), ids=list(all_kinds()))
def test_a_kind_describes_itself_its_fields_and_its_measurements(kind: str, check: type[Check]) -> None:
    assert re.match(r"[a-z]|[A-Z]{2}", check.summary), kind
    assert not check.summary.endswith(".")
    assert [name for name, field in check.model_fields.items() if name != "kind" and not field.description] == []
    for quantity in check.quantities:
        assert quantity.description
        assert quantity_text(1.5, quantity.unit)
        own = quantity.metric == "" or quantity.metric.startswith("otelhealth.")
        assert own or quantity.metric.split(".")[0] in {"system", "process", "container", "http", "dns", "db", "tls"}
    assert set(check.default_levels) <= {quantity.name for quantity in check.quantities} | {"duration"}


def test_the_repo_speaks_of_the_project_alone() -> None:
    words = re.compile(
        "|".join(
            ("/" + "work/", "/" + "root/", "farm" + "-", "prox" + r"y\.golang", "pypi" + r"\.org", "hel" + r"per-\d")
        )
    )
    texts = [path for path in tracked() if path.suffix not in {".png", ".sum"} and path.name != "LICENSE"]
    assert [str(path.relative_to(ROOT)) for path in texts if words.search(path.read_text(errors="replace"))] == []


def test_the_readme_begins_with_the_two_commands() -> None:
    head = "\n".join((ROOT / "README.md").read_text().splitlines()[:25])
    assert head.index("make run") < head.index("make test")


def test_the_dependencies_of_the_core_stay_few() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert len(project["dependencies"]) <= 16


def test_the_extras_can_be_installed_together() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    official = [one for extra in extras.values() for one in extra if one.startswith("opentelemetry-instrumentation")]
    assert len({one.partition("==")[2] for one in official}) == 1, "they pin each other, and need one version"
    assert all("==" in one for one in official)
