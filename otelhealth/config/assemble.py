"""Makes the Config of the tree: section by section, check by check, then what must hold between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from otelhealth.checks.base import Check
from otelhealth.checks.registry import all_kinds, find_kind
from otelhealth.config.expand import REFUSED
from otelhealth.config.fields import keys_of
from otelhealth.config.gather import TOML
from otelhealth.config.given import Given, secrets
from otelhealth.config.judge import ENVIRONMENT, place_problem, validated
from otelhealth.config.root import SECTIONS, Config, Defaults
from otelhealth.config.rules import Broken, broken
from otelhealth.config.sentences import MISSING, Said
from otelhealth.config.where import Node, Place, Way
from otelhealth.errors import Problem, near
from otelhealth.settings import Settings

KEYS = (*SECTIONS, "checks", "include")
FIELDS: Mapping[str, list[str]] = {**{name: list(keys_of(model)) for name, model in SECTIONS.items()}, "checks": []}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class _OfAnyKind(Check):
    """What all kinds have in common: judged too where the kind is unknown."""

    model_config = ConfigDict(extra="ignore")
    in_process: ClassVar[bool] = True


class Assembler:
    """Judges one tree; `problems` holds all that is wrong with it."""

    def __init__(self, root: Node, base: Path) -> None:
        self._root = root
        self._base = base
        self.problems: list[Problem] = []

    def config(self, file: Path | None, given: Iterable[Given] = ()) -> Config | None:
        """The configuration, or None where there are problems. `given` is what variables and files gave to it."""
        self._sections_known()
        values: dict[str, Any] = {name: self._section(name) for name in SECTIONS}
        defaults = self._root.child("defaults") if isinstance(values["defaults"], Defaults) else None
        nodes = self._mapping(("checks",))
        checks = {name: check for name, node in nodes.items() if (check := self._check(name, node, defaults))}
        parents = {name: _texts(node, "depends_on") for name, node in nodes.items()}
        groups = {group for node in (*nodes.values(), defaults) for group in _texts(node, "groups")}
        for rule in broken(parents, groups, values["status"]):
            self._add(rule)
        if self.problems or None in values.values() or len(checks) < len(nodes):
            return None
        return Config(**values, checks=checks, file=file, given=secrets(given, self._root, SECTIONS))

    def _sections_known(self) -> None:
        for key, node in self._root.value.items():
            if key not in KEYS:
                said = Said(f"unknown key {key!r}", near(key, list(KEYS), f"known keys: {', '.join(KEYS)}"))
                self.problems.append(place_problem(node, (key,), said, at_key=True))

    def _section(self, name: str) -> Settings | None:
        node = self._root.child(name)
        if node is None or (node.value is None and node.origin != REFUSED):
            return SECTIONS[name].by_default()
        if isinstance(node.value, SECTIONS[name]):
            return node.value
        section, problems = validated(SECTIONS[name], node, (name,), self._folder(node.place))
        self.problems += problems
        return section

    def _folder(self, place: Place) -> Path:
        return Path(place.file).parent if place.line is not None or place.file.endswith(TOML) else self._base

    def _mapping(self, path: Way) -> Mapping[str, Node]:
        node = self._root.child(path[0])
        if node is None or node.value is None:
            return {}
        if isinstance(node.value, dict):
            return node.value
        self.problems.append(place_problem(node, path, Said("wants a mapping of names to checks")))
        return {}

    def _check(self, name: str, node: Node, defaults: Node | None) -> Check | None:
        path = ("checks", name)
        if isinstance(node.value, Check):
            return node.value.model_copy(update={"name": name})
        kind = self._kind(path, node)
        named = self._name_fits(path, node)
        if not isinstance(node.value, dict):
            return None
        merged = _merged(node, defaults)
        merged.value |= {"name": Node(name if named else "", node.start)}
        if kind is None:
            merged.value |= {"kind": Node("", node.start)}
        check, problems = validated(kind or _OfAnyKind, merged, path, self._folder(node.place))
        self.problems += problems
        if "cron" in node.value and (every := node.value.get("every")) is not None:
            said = Said("given together with `cron`", "keep one of them")
            self.problems.append(place_problem(every, (*path, "every"), said, at_key=True))
        return check if kind is not None and named else None

    def _name_fits(self, path: Way, node: Node) -> bool:
        said = None
        if not NAME.fullmatch(str(path[-1])):
            said = Said("bad name", "letters, digits, `.`, `_` and `-`, at most 100, a letter or digit first")
        elif isinstance(node.value, dict) and (own := node.value.get("name")) is not None:
            node, path = own, (*path, "name")
            said = Said("unknown key 'name'", "the name is the key under `checks`")
        if said is not None:
            self.problems.append(place_problem(node, path, said, at_key=True))
        return said is None

    def _kind(self, path: Way, node: Node) -> type[Check] | None:
        kind = node.child("kind")
        if not isinstance(node.value, dict):
            self.problems.append(place_problem(node, path, Said("wants a mapping with a `kind`")))
        elif kind is None:
            said = Said(MISSING, "`otelhealth kinds` lists them")
            self.problems.append(place_problem(node, (*path, "kind"), said, at_key=True))
        elif kind.origin != REFUSED:
            found = find_kind(kind.value) if isinstance(kind.value, str) else None
            if found is None:
                self.problems.append(place_problem(kind, (*path, "kind"), _unknown_kind(kind)))
            return found
        return None

    def _add(self, rule: Broken) -> None:
        node = self._root
        for key in rule.path:
            node = node.child(key) or node
        at_key = isinstance(node.value, list | dict)
        said = Said(rule.sentence, rule.remedy)
        if node.origin and not at_key:
            said = Said(f"{node.origin} gives a name that is not there", "name one that stands in the configuration")
        self.problems.append(place_problem(node, rule.path, said, at_key=at_key))


def _texts(node: Node | None, key: str) -> list[str]:
    """The list of texts under `key`, whatever else is wrong with the check."""
    if node is not None and isinstance(node.value, Check):
        return list(getattr(node.value, key))
    named = node.child(key) if node is not None else None
    items = named.value if named is not None and isinstance(named.value, list) else []
    return [item.value if isinstance(item.value, str) else str(item.text) for item in items]


def _unknown_kind(node: Node) -> Said:
    remedy = "`otelhealth kinds` lists them"
    if node.origin and node.place.file != ENVIRONMENT:
        return Said(f"{node.origin} gives an unknown kind", remedy)
    return Said(f"unknown kind {node.value!r}", near(str(node.value), all_kinds(), remedy))


def _merged(check: Node, defaults: Node | None) -> Node:
    """`check` with what it leaves to `defaults`; a `cron` stands instead of the default `every`."""
    common = defaults.value if defaults is not None and isinstance(defaults.value, dict) else {}
    value = {key: node for key, node in common.items() if not (key == "every" and "cron" in check.value)} | check.value
    own, shared = check.value.get("threshold"), common.get("threshold")
    if own is not None and shared is not None and isinstance(own.value, dict) and isinstance(shared.value, dict):
        value["threshold"] = Node({**shared.value, **own.value}, own.place, key_place=own.key_place)
    return Node(value, check.place, key_place=check.key_place, origin=check.origin)
