"""The errors a user meets: a sentence, and the remedy."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from typing import NamedTuple

_HOST = re.compile(r"(?:\[[^\]]*\]|[^:@]*)(?::\d*)?")  # with its port
# What would forge a line of a log, move a terminal's cursor, or cannot be written at all.
UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_SHORT = 3  # letters
_LONGEST = 500  # characters that a problem quotes of what it is about
_LONGEST_WORD = 100  # characters up to which a word is compared with others
_MOST_SAID = 1000  # problems that the text of an error names
_comparisons: ContextVar[list[int] | None] = ContextVar("comparisons", default=None)


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
    found = nearest(word, known)
    return otherwise if found is None else f"did you mean {found}?"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """What of the known is close to `word`, of a short one with its first letter: `slo` is no `log`.

    None too where `comparing_at_most` has no comparisons left.
    """
    words, left = [each for each in known if len(word) > _SHORT or each[:1] == word[:1]], _comparisons.get()
    if len(word) > _LONGEST_WORD or (left is not None and left[0] <= 0):
        return None
    if left is not None:
        left[0] -= len(words)
    return next(iter(get_close_matches(word, words, 1)), None)


@contextmanager
def comparing_at_most(pairs: int) -> Iterator[None]:
    """Within it `nearest` looks at so many pairs of words, at 5 to 40 us each: a file may hold 100,000 wrong ones."""
    token = _comparisons.set([pairs])
    try:
        yield
    finally:
        _comparisons.reset(token)


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
    """A configuration that cannot be used; `problems` holds all of them, in the order of the file.

    Its text names the first 1,000 and counts the rest.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(first_of(self.problems, _MOST_SAID)))


def first_of(problems: Sequence[Problem], most: int) -> list[str]:
    """The first `most` of them as lines, and one that counts the rest."""
    more = len(problems) - most
    return [*map(str, problems[:most]), *([f"and {more:,} more"] if more > 0 else [])]
