from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
from pydantic import UUID4, ByteSize, Field, SecretStr, model_validator

from otelhealth.config.documents import read_yaml
from otelhealth.config.expand import Expander, expand
from otelhealth.config.judge import validated
from otelhealth.config.sources import Sources
from otelhealth.settings import Settings
from otelhealth.units import Size


class Part(Settings):
    weight: int = Field(1, ge=1, description="How heavy.")
    deadline: Size | None = Field(None, le=2**20, description="How large.")


class Whole(Settings):
    mode: Literal["one", "two"] | int = Field("one", description="How.")
    part: Part | str | None = Field(None, description="A part, or its name.")
    parts: tuple[Part, ...] = Field((), max_length=2, description="Parts.")
    named: dict[str, Part | int] = Field(default_factory=dict, description="Parts by name.")
    pair: Annotated[tuple[int, str] | None, Field(description="A number and a text.")] = None
    id: UUID4 | None = Field(None, description="Which.")
    bytes: ByteSize | None = Field(None, description="How many.")
    secret: SecretStr | None = Field(None, description="A secret.")
    url: str = Field("", description="Where.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "forbidden" in self.url:
            raise ValueError(f"{self.url} is forbidden; use another")
        return self


def problems(text: str, **environ: str) -> list[str]:
    root, _ = read_yaml(text, "f")
    assert expand(root, Expander(environ, Path(), Sources().opens)) == []
    made, found = validated(Whole, root, ("whole",), Path())
    assert (made is None) == bool(found)
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("mode: tow", "f:1:7: whole.mode: 'tow' is not one of one, two; did you mean two?"),
        ("part: {wieght: 1}", "f:1:8: whole.part.wieght: unknown key 'wieght'; did you mean weight?"),
        ("part: [1]", "f:1:7: whole.part: wants a mapping of keys to values or a text; A part, or its name"),
        ("parts: [{}, {weight: 0}]", "f:1:22: whole.parts[1].weight: must be at least 1"),
        ("parts: [{}, {}, {}]", "f:1:8: whole.parts: must have at most 2 items"),
        ("named: {a: {b: 1}}", "f:1:13: whole.named.a.b: unknown key 'b'; known keys: weight, deadline"),
        ("named: {a: x}", "f:1:12: whole.named.a: wants a mapping of keys to values or a whole number; Parts by name"),
        ("pair: [1]", "f:1:1: whole.pair[1]: is missing; set it: A number and a text"),
        ("pair: [x, y]", "f:1:8: whole.pair[0]: wants a whole number; write digits, such as 3"),
        ("part: {deadline: 2MiB}", "f:1:18: whole.part.deadline: must be at most 1MiB"),
        ("url: forbidden", "f:1:1: whole: forbidden is forbidden; use another"),
        ("bytes: many", "f:1:8: whole.bytes: could not parse value and unit from byte string; wanted: How many"),
    ],
)
def test_a_problem_is_said_in_plain_words_at_its_place(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_a_rare_error_keeps_its_words_without_the_jargon() -> None:
    (said,) = problems("id: x")
    assert said.startswith("f:1:5: whole.id: should be a valid UUID")
    assert "http" not in said


def test_a_sentence_about_the_whole_never_repeats_what_an_expression_gave() -> None:
    assert problems("url: http://${env:HOST}/forbidden", HOST="s3cret-host") == [
        "f:1:1: whole: what an expression in it gives does not fit"
    ]
    assert problems("url: ${env:URL}", URL="http://x/forbidden?key=s3cret") == [
        "f:1:1: whole: what an expression in it gives does not fit"
    ]


def test_a_text_that_an_expression_gives_may_look_like_a_number_or_a_list() -> None:
    for value in ("123", "[1", "[1]", "{a: 1}", "null", "~"):
        assert problems("url: ${env:URL}\nsecret: ${env:URL}", URL=value) == []


def test_one_error_beside_a_number_meant_as_text_is_the_only_one_told() -> None:
    assert problems("url: 5\nparts: 7\nsecret: 8") == ["f:2:8: whole.parts: wants a list; write [a, b]"]
