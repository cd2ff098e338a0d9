"""What all that a user configures has in common."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """The base of all that a user configures: immutable, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=False, hide_input_in_errors=True, defer_build=True
    )

    @classmethod
    def by_default(cls) -> Self:
        """As with nothing said. Our own defaults are not judged: that would build a validator that a start spares."""
        return cls.model_construct()  # type: ignore[return-value]  # pydantic's mypy plugin takes Self for Settings
