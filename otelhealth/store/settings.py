"""What a user sets of the store, and where it lies unless told."""

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from otelhealth.errors import OtelHealthError
from otelhealth.settings import Settings
from otelhealth.units import Duration, LocalPath, Size


class Keep(Settings):
    """How long things are kept."""

    runs: Duration = Field(7 * 86400.0, ge=60, description="Single runs.")
    history: Duration = Field(400 * 86400.0, ge=60, description="State changes and hourly roll-ups.")


class StoreSettings(Settings):
    """Where states, runs and changes are kept."""

    path: LocalPath | None = Field(
        None,
        description="A file, or `:memory:`. Default: otelhealth/<service>/otelhealth.db in the state directory, "
        "app.db for an agent inside an application.",
    )
    keep: Keep = Field(default_factory=Keep.by_default, description="How long things are kept.")
    max_size: Size = Field(2**30, ge=2**20, description="Size of the file from which on the oldest runs go early.")


def default_path(service: str, environ: Mapping[str, str], role: str = "agent") -> Path:
    """`${XDG_STATE_HOME:-~/.local/state}/otelhealth/<service>/otelhealth.db`; OtelHealthError without a home.

    An agent in another role beside it has a file of that name.
    """
    base = Path(environ.get("XDG_STATE_HOME") or _home(environ) / ".local" / "state")
    folder = re.sub(r"[^A-Za-z0-9._-]", "_", service).lstrip(".") or "_"
    return base / "otelhealth" / folder / ("otelhealth.db" if role == "agent" else f"{role}.db")


def _home(environ: Mapping[str, str]) -> Path:
    try:
        return Path(environ.get("HOME") or Path.home())
    except RuntimeError as error:  # a user of a container that /etc/passwd does not know
        raise OtelHealthError(
            "the store has no place: no home directory is known", "set HOME, XDG_STATE_HOME or `store.path`"
        ) from error
