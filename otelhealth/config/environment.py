"""What the environment says above the file: `OTELHEALTH_<SECTION>__<FIELD>`, and what of `OTEL_*` is a setting."""

from __future__ import annotations

import re
from collections.abc import Mapping

from otelhealth.config.documents import tree
from otelhealth.config.expand import retype
from otelhealth.config.given import Given, given_to
from otelhealth.config.judge import ENVIRONMENT
from otelhealth.config.where import Node, Place, Way
from otelhealth.errors import Problem, near
from otelhealth.telemetry.environment import overrides
from otelhealth.telemetry.resource import resource_attributes

PREFIX = "OTELHEALTH_"
_SERVICE = {
    "name": "service.name",
    "version": "service.version",
    "environment": "deployment.environment.name",
}
_PLACE = Place(ENVIRONMENT)


def apply(
    root: Node, environ: Mapping[str, str], sections: Mapping[str, list[str]], given: list[Given]
) -> list[Problem]:
    """Lay the environment over `root`: `OTEL_*` first, `OTELHEALTH_*` above it. `sections` has the fields of each.

    `given` is told of what `OTELHEALTH_*` sets.

    `OTELHEALTH_CHECKS` is a whole section. Any other name without `__` is no setting: Kubernetes sets
    OTELHEALTH_SERVICE_HOST for a service called otelhealth. One that only lacks the second `_` is refused.
    """
    _standard(root, environ)
    problems = []
    for name in sorted(environ):
        upper = name.upper()
        if not upper.startswith(PREFIX):
            continue
        rest = upper[len(PREFIX) :]
        if "__" in rest or rest.lower() in sections:
            problems += _set(root, name, environ[name], sections, given)
        else:
            problems += _missed(name, rest, sections)
    return problems


def _standard(root: Node, environ: Mapping[str, str]) -> None:
    attributes = resource_attributes(environ)
    for field, attribute in _SERVICE.items():
        if value := attributes.get(attribute):
            _put(root, ("service", field), tree(value, _PLACE), attribute)
    for path, value in overrides(environ):
        _put(root, ("telemetry", *path), tree(value, _PLACE), "OTEL_*")


def _set(root: Node, name: str, value: str, sections: Mapping[str, list[str]], given: list[Given]) -> list[Problem]:
    segments = name[len(PREFIX) :].lower().split("__")
    if segments[0] not in sections:
        known = {f"{PREFIX}{section.upper()}": None for section in sections}
        remedy = near(f"{PREFIX}{segments[0].upper()}", known, f"sections: {', '.join(sections)}")
        return [_PLACE.problem(name, f"there is no section {segments[0]!r}", remedy)]
    if "" in segments:
        return [_PLACE.problem(name, "names no setting", f"write {PREFIX}<SECTION>__<FIELD>")]
    node = Node(None, _PLACE, origin=name)
    retype(node, value)
    path = _put(root, tuple(segments), node, name)
    if path is None:
        return [_PLACE.problem(name, "names a part of what is no mapping", "set the whole, as JSON")]
    given += given_to(path, node, [(value, False)])
    return []


def _put(root: Node, path: tuple[str, ...], node: Node, origin: str) -> Way | None:
    """Set `node` at `path`, making the mappings on the way; gives the path in the tree's own keys, None where something
    else stands in it."""
    at, way = root, []
    for segment in path[:-1]:
        key = _key(at, segment)
        if at.value.get(key) is None or at.value[key].value is None:
            at.value[key] = Node({}, _PLACE, origin=origin, key_place=_PLACE)
        at = at.value[key]
        way.append(key)
        if not isinstance(at.value, dict):
            return None
    for _, inner in node.walk():
        inner.origin, inner.key_place = origin, _PLACE
    way.append(_key(at, path[-1]))
    at.value[way[-1]] = node
    return tuple(way)


def _key(at: Node, segment: str) -> str:
    """The key that a segment means: names of checks and headers may hold what a variable's name cannot."""
    return next((key for key in at.value if re.sub(r"[^a-z0-9]", "_", key.lower()) == segment), segment)


def _missed(name: str, rest: str, sections: Mapping[str, list[str]]) -> list[Problem]:
    section, _, field = rest.lower().partition("_")
    if field in sections.get(section, ()):
        remedy = f"did you mean {PREFIX}{section.upper()}__{field.upper()}?"
        return [_PLACE.problem(name, "sets nothing", remedy)]
    return []
