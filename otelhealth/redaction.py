"""Keeps secrets out of all that is told: their exact values are known, and give way to `***` where a text leaves.

Which values are secret is decided by the type of the setting that holds them (checks/secret.py), never by a pattern.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from otelhealth.errors import one_line

MASK = "***"
SHORTEST = 4  # characters; shorter ones stand in every other text
_WORD = 5  # a secret up to this long counts only where it is a word of its own
_FRAGMENT = 8  # characters of a secret that are one too, where a text was cut
_LONG = 200  # characters from which on a text may have been cut at its begin
_FEW = 48  # needles up to which a search for each of them is the quickest
_MOST = 20_000  # values; with 10,000 checks each may have its own
_MOST_CLEAN = 4096


class Redactor:
    """Knows secret values, and replaces them. A text that holds none of them costs 0.1 us for each that is known.

    `learn` may be called at any time, from any thread: what was secret stays so, since old texts may hold it.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: dict[str, None] = {}
        self._forms: dict[str, tuple[str, ...]] = {}  # by their first characters, the longest first
        self._needles: tuple[str, ...] = ()
        self.clean: set[object] = set()  # texts and tuples of texts that were looked at
        self.learn(secrets)

    def __bool__(self) -> bool:
        return bool(self._forms)

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these too. Values of fewer than 4 characters are passed over; of more than 20,000 the oldest are."""
        fresh = [secret for secret in dict.fromkeys(secrets) if secret not in self._secrets]
        if not fresh:
            return
        self._secrets.update(dict.fromkeys(fresh))
        if len(self._secrets) > _MOST:
            fresh = list(self._secrets)[-_MOST // 2 :]
            self._secrets, self._forms, self._needles = dict.fromkeys(fresh), {}, ()
        few = dict.fromkeys(self._needles)
        found: dict[str, dict[str, None]] = {}
        for form in (form for secret in fresh for form in _forms(secret)):
            found.setdefault(form[:SHORTEST], {})[form] = None
            if len(few) <= _FEW:
                few[form[:_FRAGMENT]] = None
        for start, forms in found.items():
            known = dict.fromkeys(self._forms.get(start, ())) | forms
            self._forms[start] = tuple(sorted(known, key=len, reverse=True))
        self._needles, self.clean = tuple(few), set()

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        if not self._forms:
            return text
        begin = self._cut_begin(text) if len(text) >= _LONG else 0
        return self._masked(text, begin) if begin or self._may_hold(text) else text

    def is_clean(self, values: Iterable[object]) -> bool:
        """Whether these, and what tuples, lists and dicts among them hold, are without secrets.

        Made for texts and tuples that come again and again: those are looked at once.
        """
        clean = self.clean
        for value in values:
            kind = type(value)
            if kind is str or kind is tuple:
                if value not in clean and not self._found_clean(value, clean):
                    return False
            elif kind is list:
                if not self.is_clean(value):  # type: ignore[arg-type]  # a list, as just seen
                    return False
            elif kind is dict and not (self.is_clean(value) and self.is_clean(value.values())):  # type: ignore[arg-type, attr-defined]  # same
                return False
        return True

    def value(self, value: Any) -> Any:
        """A value as JSON knows it (and tuples), without secrets in its texts and keys."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(each) for each in value)
        return value

    def _found_clean(self, value: Any, clean: set[object]) -> bool:
        if isinstance(value, tuple):
            if not self.is_clean(value):
                return False
        elif self(value) != value:
            return False
        if len(value) <= _LONG:
            if len(clean) >= _MOST_CLEAN:
                clean.clear()
            clean.add(value)
        return True

    def _may_hold(self, text: str) -> bool:
        if len(self._needles) > _FEW:
            return True
        for needle in self._needles:  # noqa: SIM110 - any() takes five times as long, for each text of each run
            if needle in text:
                return True
        return False

    def _masked(self, text: str, begin: int) -> str:
        parts = [MASK] if begin else []
        at = start = begin
        forms, last = self._forms, len(text) - SHORTEST
        while start <= last:
            found = forms.get(text[start : start + SHORTEST])
            length = _matched(text, start, found) if found is not None else 0
            if length:
                parts += (text[at:start], MASK)
                at = start = start + length
            else:
                start += 1
        return "".join((*parts, text[at:])) if parts else text

    def _cut_begin(self, text: str) -> int:
        """How many characters at the begin are the end of a secret that was cut off there."""
        head = text[:_FRAGMENT]
        for found in list(self._forms.values()):  # others may learn meanwhile
            for form in found:
                at = form.find(head, 1)
                while at > 0:
                    if text.startswith(form[at:]):
                        return len(form) - at
                    at = form.find(head, at + 1)
        return 0


def _matched(text: str, start: int, forms: tuple[str, ...]) -> int:
    """The characters from `start` on that are one of `forms`, or the begin of one that was cut off there."""
    for form in forms:
        if text.startswith(form, start):
            end = start + len(form)
            if len(form) > _WORD or not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()):
                return len(form)
        elif text.startswith(form[:_FRAGMENT], start):
            length = _common(text, start, form)
            rest = text[start + length : start + length + 3]
            if rest in ("", "..."):
                return length
    return 0


def _common(text: str, start: int, form: str) -> int:
    length = _FRAGMENT
    most = min(len(form), len(text) - start)
    while length < most and text[start + length] == form[length]:
        length += 1
    return length


def _forms(secret: str) -> Iterator[str]:
    """A secret as texts hold it: as it is, on one line, and escaped as JSON, Python and URLs do."""
    bare = secret.strip()
    if len(bare) < SHORTEST:
        return
    flat = one_line(bare, len(bare))
    written = (json.dumps(bare), json.dumps(bare, ensure_ascii=False), repr(bare))
    told = (bare, flat, *(text[1:-1] for text in written), *(quote(bare, safe, errors="replace") for safe in ("", "/")))
    lines = bare.splitlines()
    parts = [line.strip() for line in lines if len(line) >= 2 * _FRAGMENT] if len(lines) > 1 else []
    for form in (*told, quote_plus(bare, errors="replace"), *parts):
        if len(form) >= SHORTEST:
            yield form
