"""What a user expects of an HTTP response, and whether it is so."""

import json
from typing import Annotated, Any, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from otelhealth.checks.expect import StatusRange, ValueTest, any_holds, shown
from otelhealth.checks.jsonpath import JsonPath, PathNotFoundError
from otelhealth.checks.request import Response
from otelhealth.checks.search import Pattern, Search
from otelhealth.checks.secret import SENSITIVE, Wanted
from otelhealth.errors import ProbeError
from otelhealth.settings import Settings
from otelhealth.units import size_text


def _parses(value: int | str | list[int | str]) -> int | str | list[int | str]:
    for one in value if isinstance(value, list) else [value]:
        StatusRange.parse(one)
    return value


StatusField = Annotated[int | str | list[int | str], AfterValidator(_parses)]
PathField = Annotated[str, Field(max_length=500), AfterValidator(lambda text: JsonPath.parse(text) and text)]


class Expect(Settings):
    """What the answer must be."""

    model_config = ConfigDict(serialize_by_alias=True)

    status: StatusField = Field("< 400", description="`200`, `2xx`, `200-204`, `< 400`, or a list of these.")
    headers: dict[str, Pattern] = Field(
        default_factory=dict, max_length=50, description="Header names and the patterns that their values hold."
    )
    text: Wanted | None = Field(None, min_length=1, max_length=10_000, description="A text that the body holds.")
    regex: Pattern | None = Field(None, description="A regular expression that is found in the body.")
    json_: dict[PathField, Annotated[Any, SENSITIVE]] = Field(
        default_factory=dict,
        alias="json",
        max_length=50,
        description="JSON paths and what stands there: a value, `> 5`, `!= x`, `length > 0` or `exists`.",
    )

    @model_validator(mode="after")
    def _tests_parse(self) -> Self:
        for path, value in self.json_.items():
            try:
                ValueTest.parse(value)
            except ValueError as error:
                raise ValueError(f"json: {path}: {error}") from error
        return self


class ResponseJudge:
    """The expectations of one check, parsed once."""

    def __init__(self, expect: Expect, version: str | None = None) -> None:
        wanted = expect.status if isinstance(expect.status, list) else [expect.status]
        self._status = [StatusRange.parse(one) for one in wanted]
        self._headers = [(name.lower(), Search(text)) for name, text in expect.headers.items()]
        self._text = expect.text
        self._regex = Search(expect.regex) if expect.regex else None
        self._json = [(JsonPath.parse(path), ValueTest.parse(value)) for path, value in expect.json_.items()]
        self._version = JsonPath.parse(version) if version else None
        self._of_body = bool(expect.text or expect.regex or expect.json_)

    def problem(self, response: Response) -> ProbeError | None:
        """The first expectation that is not met."""
        if not any_holds(self._status, response.status):
            wanted = " or ".join(one.text for one in self._status)
            return ProbeError(str(response.status), f"answered {response.status}, expected {wanted}")
        try:
            self._check_headers(response)
            if self._of_body:
                self._check_body(response)
        except ProbeError as problem:
            return problem
        return None

    def _check_headers(self, response: Response) -> None:
        for name, wanted in self._headers:
            value = response.header(name)
            if value is None or wanted.end(value) is None:
                seen = "is missing" if value is None else f"is {shown(value)}"
                raise ProbeError("unexpected_header", f"header {name} {seen}, expected {wanted.text}")

    def _check_body(self, response: Response) -> None:
        size = size_text(len(response.body))
        if response.truncated:
            raise ProbeError("body_too_large", f"the body is larger than {size}, raise body_limit to judge it")
        if self._text or self._regex:
            text = response.body.decode(errors="replace")
            if self._text and self._text not in text:
                raise ProbeError("unexpected_body", f"text {shown(self._text)} is not in the {size} of the body")
            if self._regex and self._regex.end(text) is None:
                raise ProbeError("unexpected_body", f"nothing in the {size} of the body matches {self._regex.text}")
        if self._json:
            self._check_json(_document(response))

    def _check_json(self, document: Any) -> None:
        for path, test in self._json:
            try:
                seen = path.find(document)
            except PathNotFoundError as error:
                raise ProbeError("unexpected_body", f"{error} in the JSON, expected {path}: {test.text}") from error
            if not test.holds(seen):
                raise ProbeError("unexpected_body", f"{path} is {shown(seen)}, expected {test.text}")

    def version_of(self, response: Response) -> str | None:
        """The target's version where it tells one."""
        if self._version is None:
            return None
        try:
            found = self._version.find(_document(response))
        except (PathNotFoundError, ProbeError):
            return None
        return str(found)[:100] if isinstance(found, str | int | float) else None


def _document(response: Response) -> Any:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError) as error:
        raise ProbeError("invalid_json", f"the body ({size_text(len(response.body))}) is not JSON") from error
