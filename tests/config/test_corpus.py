"""One bad file per rule, each with its messages in its `# expect:` lines (`# env: NAME=value` sets a variable)."""

from __future__ import annotations

from pathlib import Path

import pytest

from otelhealth.config.load import load
from otelhealth.errors import ConfigError

BAD = Path(__file__).parent / "bad"
FILES = sorted(path.name for path in BAD.iterdir() if path.is_file())


def marked(text: str, mark: str) -> list[str]:
    return [line.removeprefix(mark) for line in text.splitlines() if line.startswith(mark)]


def messages(name: str, environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(Path(name), environ)
    return [str(problem).removeprefix(f"{name}:") for problem in caught.value.problems]


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_with_exactly_its_messages(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    text = Path(name).read_text()
    environ = dict(line.split("=", 1) for line in marked(text, "# env: "))
    assert messages(name, environ) == marked(text, "# expect: ")


@pytest.mark.parametrize("name", FILES)
def test_no_message_speaks_of_our_tools_or_repeats_a_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    environ = dict(line.split("=", 1) for line in marked(Path(name).read_text(), "# env: "))
    said = "\n".join(messages(name, environ)).lower()
    assert not [
        word for word in ("pydantic", "https://errors", "input should", "valueerror", "hunter2") if word in said
    ]
