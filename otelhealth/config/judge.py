"""Judges a tree by the rooms' models: settings where it fits, problems with their places where it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from otelhealth.checks.base import Check
from otelhealth.config.expand import REFUSED
from otelhealth.config.fields import field_at, known_keys, number_at
from otelhealth.config.sentences import MISSING, NEVER_ECHO, WANTS, Said, describe, say
from otelhealth.config.where import Node, Place, Way, dotted
from otelhealth.errors import Problem, nearest, redacted

Model = TypeVar("Model", bound=BaseModel)
ENVIRONMENT = "environment"


def validated(model: type[Model], node: Node, path: Way, base: Path) -> tuple[Model | None, list[Problem]]:
    """`node` as a `model`, or what is wrong with it. `base` is the folder that relative paths start from.

    A scalar that is refused as the number or boolean it looks like is tried again as the text that was written.
    """
    first = list(_no_numbers(model, node))
    made, found = _tried(model, node.plain(), base)
    first += found
    if made is not None and not first:
        return made, []
    texts = {id(at) for each in first if (at := _locate(node, each["loc"])[1]).text is not None}
    if texts:
        made, second = _tried(model, node.plain(texts), base)
        if made is not None:
            return made, []
        first = _left(first, second, node)
    return None, list(_problems(first, model, node, path))


def _tried(model: type[Model], data: Any, base: Path) -> tuple[Model | None, list[ErrorDetails]]:
    try:
        return model.model_validate(data, context={"base": base}), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _no_numbers(model: type[BaseModel], node: Node) -> Iterator[ErrorDetails]:
    """The booleans that stand for a number: to Python `True` is 1."""
    for way, each in node.walk():
        if isinstance(each.value, bool) and (number := number_at(model, way)) is not None:
            yield {"type": f"{number.__name__}_type", "loc": way, "msg": "", "input": each.value}


def _left(first: list[ErrorDetails], second: list[ErrorDetails], node: Node) -> list[ErrorDetails]:
    """Of two tries, the second with texts: what is wrong still. What only wanted a text, and got one, says the rest."""

    def at(error: ErrorDetails) -> int:
        return id(_locate(node, error["loc"])[1])

    still = {at(error) for error in second}
    texts = {at(error) for error in first} - {at(error) for error in first if error["type"] != "string_type"}
    return [
        *(error for error in first if at(error) in still - texts),
        *(error for error in second if at(error) in texts),
    ] or second


def place_problem(node: Node, path: Way, said: Said, *, at_key: bool = False) -> Problem:
    """A problem at a node; one that came from a variable is named by the variable."""
    place: Place = node.start if at_key else node.place
    where, sentence = dotted(path), redacted(said.sentence)
    if place.file == ENVIRONMENT and node.origin:
        where, sentence = node.origin, f"{where} {sentence}" if sentence == MISSING else sentence
    return place.problem(where, sentence, said.remedy)


def _locate(node: Node, location: tuple[str | int, ...]) -> tuple[Way, Node, str | int | None]:
    """The path that pydantic's location has in the tree, the node there, and the key after it that is not in the tree.

    A location also holds labels of unions and of map keys, which no user wrote: they are passed over.
    """
    path: Way = ()
    absent: str | int | None = None
    for key in location:
        child = node.child(key)
        if child is None:
            absent = key
        else:
            path, node, absent = (*path, key if isinstance(node.value, list) else str(key)), child, None
    return path, node, absent


Group = list[tuple[ErrorDetails, Node]]
_FIELD = re.compile(r"(\S+): ")


def _problems(errors: list[ErrorDetails], model: type[BaseModel], node: Node, path: Way) -> Iterator[Problem]:
    groups = _grouped(errors, node)
    above = {inner[:length] for inner in groups for length in range(len(inner))}
    for inner, group in groups.items():
        if inner in above and all(error["type"] in WANTS for error, _ in group):
            continue  # another branch of a union, which the value was not meant for
        kind, found = group[0][0]["type"], group[0][1]
        known = _keys(model, inner[:-1])
        if kind == "missing" and _misspelt(str(inner[-1]), found, known):
            continue
        said = _said(group, field_at(model, inner), known)
        at_key = kind in ("extra_forbidden", "missing") or isinstance(found.value, dict)
        yield place_problem(found, (*path, *inner), said, at_key=at_key)


def _keys(model: type[BaseModel], path: Way) -> list[str]:
    """Those that a user may write at `path`: the name of a check is the key above it."""
    return [key for key in known_keys(model, path) if path or key != "name" or not issubclass(model, Check)]


def _grouped(errors: list[ErrorDetails], node: Node) -> dict[Way, Group]:
    """The errors by the path a user wrote: the branches of a union speak of one value."""
    groups: dict[Way, Group] = {}
    for each in errors:
        inner, found, absent = _locate(node, each["loc"])
        error, field = _of_a_field(each, found)
        if field is not None and (child := found.child(field)) is not None:
            inner, found = (*inner, field), child
        if error["type"] == "missing" and absent is not None:
            inner = (*inner, absent)
        if found.origin != REFUSED:
            groups.setdefault(inner, []).append((error, found))
    return groups


def _of_a_field(error: ErrorDetails, found: Node) -> tuple[ErrorDetails, str | None]:
    """A validator of the whole that begins its sentence with `key: ` speaks of that key."""
    raised = error.get("ctx", {}).get("error")
    named = _FIELD.match(str(raised)) if isinstance(raised, ValueError) else None
    if named is None or found.child(named[1]) is None:
        return error, None
    return {**error, "ctx": {"error": ValueError(str(raised)[named.end() :])}}, named[1]


def _misspelt(key: str, found: Node, known: list[str]) -> bool:
    """Whether the missing `key` stands there under a wrong name, which is said already."""
    written = found.value if isinstance(found.value, dict) else ()
    return any(nearest(other, known) == key for other in written if other not in known)


def _said(group: Group, field: FieldInfo | None, known: list[str]) -> Said:
    sentences = []
    for error, found in group:
        said = say(error, field, known, found.origin)
        if not found.origin and error["type"] not in NEVER_ECHO and _echoes(said, found):
            said = Said("what an expression in it gives does not fit", describe(field))
        if said not in sentences:
            sentences.append(said)
    own = [said for said in sentences if not said.sentence.startswith("wants ")]
    if own:
        return own[0]
    wants = list(dict.fromkeys(said.sentence.removeprefix("wants ") for said in sentences))
    return Said("wants " + " or ".join(wants), sentences[0].remedy if len(wants) == 1 else describe(field))


def _echoes(said: Said, found: Node) -> bool:
    """Whether a sentence about the whole repeats something that an expression below it gave."""
    text = f"{said.sentence} {said.remedy}"
    for _, each in found.walk():
        value = each.text if each.text is not None else each.value
        if each.origin and isinstance(value, str):
            words = [word for word in re.split(r"[^A-Za-z0-9]+", value) if len(word) > 3]
            if any(word and word in text for word in (value, *words)):
                return True
    return False
