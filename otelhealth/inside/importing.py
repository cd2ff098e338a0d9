"""Acting on a module when the program imports it, so that nothing is imported that the program does not use."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

Action = Callable[[ModuleType], None]


def after_import(name: str, action: Action) -> None:
    """Call `action` with the module `name` once it is imported; now, where it is already."""
    if name in sys.modules:
        action(sys.modules[name])
        return
    if not isinstance(sys.meta_path[0], _Finder):
        sys.meta_path.insert(0, _Finder())
    finder = sys.meta_path[0]
    assert isinstance(finder, _Finder)  # noqa: S101 - just put there
    finder.actions[name] = action


class _Finder(importlib.abc.MetaPathFinder):
    """Lets the others find a module that is waited for, and adds the action to its loading."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        action = self.actions.pop(fullname, None)
        if action is None:
            return None
        found = next((spec for finder in self._others() if (spec := finder.find_spec(fullname, path, target))), None)
        if found is not None and found.loader is not None:
            found.loader = _Loader(found.loader, action)
        return found

    def _others(self) -> list[importlib.machinery.PathFinder]:
        return [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]  # type: ignore[misc]  # finders have no common type


class _Loader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader, action: Action) -> None:
        self._loader = loader
        self._action = action

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)  # get_source, get_data and the like, for tracebacks and resources

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action(module)
