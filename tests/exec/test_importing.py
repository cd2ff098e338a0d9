from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from otelhealth.inside.importing import after_import


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    return tmp_path


def test_the_action_sees_the_module_when_it_is_imported_and_not_before(folder: Path) -> None:
    (folder / "late_module.py").write_text("value = 1")
    seen: list[ModuleType] = []
    after_import("late_module", seen.append)
    assert seen == []
    module = import_module("late_module")
    assert import_module("late_module") is module
    assert seen == [module]
    assert module.value == 1
    assert inspect.getsource(module) == "value = 1\n"


def test_a_module_that_is_there_already_is_acted_on_at_once() -> None:
    seen: list[ModuleType] = []
    after_import("sys", seen.append)
    assert seen == [sys]


def test_a_module_of_a_package_and_one_that_fails_to_load(folder: Path) -> None:
    (folder / "late_package").mkdir()
    (folder / "late_package" / "__init__.py").touch()
    (folder / "late_package" / "inner.py").write_text("value = 2")
    (folder / "late_package" / "broken.py").write_text("raise LookupError('it')")
    seen: list[str] = []
    for name in ("late_package.inner", "late_package.broken", "late_package.missing"):
        after_import(name, lambda module: seen.append(module.__name__))
    assert import_module("late_package.inner").value == 2
    with pytest.raises(LookupError, match="it"):
        import_module("late_package.broken")
    with pytest.raises(ModuleNotFoundError, match="missing"):
        import_module("late_package.missing")
    assert seen == ["late_package.inner"]
