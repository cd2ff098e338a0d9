"""What users read: README and the pages of docs, found by a look at the folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
}
_STAYS = r"otelhealth (run|exec (?!--list))|opentelemetry-instrument|uvicorn"


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of each code block in that language."""
    shown = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(page, block) for page, text in PAGES.items() for block in shown.findall(text)]


def name(block: str) -> str:
    """The file that a block says it is, in its first line; else nothing."""
    found = re.match(r"# ([\w/]+\.(?:py|yaml))\n", block)
    return found[1] if found else ""


def write(page: str, folder: Path) -> None:
    """Put the files that a page shows where its reader would."""
    for language in ("python", "yaml"):
        for shown_on, block in blocks(language):
            if shown_on == page and name(block):
                path = folder / name(block)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block)


def commands(*programs: str) -> list[tuple[str, str]]:
    """(page, line) of each shown call of one of these, without the remark behind it."""
    begins = "|".join(map(re.escape, programs))
    return [
        (page, line)
        for page, block in blocks("console")
        for line in re.findall(rf"^\$ ((?:{begins})\b.*?)(?: +#.*)?$", block, re.MULTILINE)
    ]


def masked(line: str) -> str:
    """Without what differs from run to run: figures with their units, and the room between columns."""
    return re.sub(r"\s+", " ", re.sub(r"[\d.]+(?:[um]?s\b)?", "0", line)).strip()


@dataclass(frozen=True, slots=True)
class Session:
    """A program that is shown and stays: what it says, and what it answers by URL."""

    page: str
    command: str
    said: list[str]
    answered: list[tuple[str, str]]


def sessions() -> list[Session]:
    found: list[Session] = []
    for page, block in blocks("console"):
        stays = False
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *told = part.rstrip("\n").split("\n")
            command = re.sub(r" +#.*", "", first)
            if command.startswith("curl -s http://127.0.0.1:") and stays:
                found[-1].answered.append((command.removeprefix("curl -s "), told[0]))
            elif stays := re.match(_STAYS, command) is not None:
                found.append(Session(page, command, [line for line in told if line.strip() != "..."], []))
    return found
