"""The `log` section: how the process that an agent has to itself tells what it does."""

from typing import Literal

from pydantic import Field

from otelhealth.settings import Settings
from otelhealth.units import LocalPath, Size


class LogSettings(Settings):
    """What is told, how, and where to. In a program of yours, all but `otlp` is that program's concern."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is told.")
    format: Literal["text", "json"] = Field("text", description="`json`: an object a line, as Fluent Bit reads it.")
    file: LocalPath | None = Field(None, description="A file instead of stderr; made readable for its owner only.")
    max_size: Size = Field(10 * 2**20, ge=2**16, le=2**40, description="Of `file`: beyond, it becomes `file`.1.")
    keep: int = Field(5, ge=1, le=1000, description="How many such older files are kept.")
    otlp: Literal["debug", "info", "warning", "error", "off"] = Field(
        "warning", description="From this level on the agent's records also leave over OTLP, where logs are exported."
    )
