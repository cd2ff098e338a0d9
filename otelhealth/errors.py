"""The errors a user meets: a sentence, and the remedy."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

_HOST = re.compile(r"(?:\[[^\]]*\]|[^:@]*)(?::\d*)?")  # with its port
# What would forge a line of a log, move a terminal's cursor, or cannot be written at all.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_LONGEST = 500  # characters that a problem quotes of what it is about


def redacted(text: str) -> str:
    """A foreign text, such as an exception's, without the user info of the URLs in it."""
    return re.sub(r"\S+", _without_user_info, text) if "://" in text and "@" in text else text


def _without_user_info(word: re.Match[str]) -> str:
    """A password may hold `@`, and `/` where it was not escaped; a path after a plain host may hold `@` too."""
    before, mark, rest = word[0].partition("://")
    inside, at, after = rest.rpartition("@")
    host, slash, _ = inside.partition("/")
    if not at or (slash and _HOST.fullmatch(host)):
        return word[0]
    return f"{before}{mark}***@{after}"


def one_line(text: str, most: int) -> str:
    """A foreign text as one printable line of at most `most` characters."""
    return UNFIT.sub(" ", text[:most])


def near(word: str, known: Iterable[str], otherwise: str) -> str:
    """A remedy: `did you mean X?` where something known is close to `word`."""
    found = get_close_matches(word, list(known), 1)
    return f"did you mean {found[0]}?" if found else otherwise


class OtelHealthError(Exception):
    """The base of every error meant for a user: `sentence` says what is wrong, `remedy` what to do."""

    def __init__(self, sentence: str, remedy: str = "") -> None:
        self.sentence = sentence
        self.remedy = remedy
        super().__init__(f"{sentence}; {remedy}" if remedy else sentence)


class MissingLibraryError(OtelHealthError):
    """A kind needs a client library that is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed", f"pip install 'otelhealth[{extra}]'")


class ProbeError(OtelHealthError):
    """What a target reported, refused or timed out on: the run is `fail`, of the low-cardinality class `error_type`."""

    def __init__(self, error_type: str, sentence: str) -> None:
        self.error_type = error_type
        super().__init__(sentence)


class TooOftenError(OtelHealthError):
    """Something was asked for more often than it may be; `wait` seconds until it may be again."""

    def __init__(self, sentence: str, remedy: str, wait: float) -> None:
        self.wait = wait
        super().__init__(sentence, remedy)


class ThreadsBlockedError(OtelHealthError):
    """No thread can be had for a check's sync code: its last run, or too many others, still block theirs."""


class Problem(NamedTuple):
    """One thing wrong in a configuration: where, what, and the remedy."""

    file: str
    path: str
    sentence: str
    remedy: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        place = f"{where}: {one_line(self.path, _LONGEST)}: " if self.path else f"{where}: "
        return place + one_line(self.sentence, _LONGEST) + (f"; {self.remedy}" if self.remedy else "")


class ConfigError(OtelHealthError):
    """A configuration that cannot be used; `problems` holds all of them, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))
